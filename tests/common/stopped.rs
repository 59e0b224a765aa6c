//! One thread of a process that stands still while the others go on: a small tracer holds it, as a debugger does.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Env;

/// Stops the thread of its argument until its input ends.
const TRACER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    int thread = argc > 1 ? atoi(argv[1]) : 0, status;
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) || ptrace(PTRACE_INTERRUPT, thread, 0, 0)
        || waitpid(thread, &status, __WALL) != thread) {
        perror("refused");
        return 1;
    }
    puts("stopped");
    fflush(stdout);
    while (getchar() != EOF);
    return ptrace(PTRACE_DETACH, thread, 0, 0) ? 1 : 0;
}
"#;

/// The program.
pub struct Tracer(PathBuf);

/// A thread that stands still. `Drop` lets it go on.
pub struct Stopped(Child);

impl Tracer {
    #[track_caller]
    pub fn build(env: &Env) -> Self {
        let (source, program) = (env.write("tracer.c", TRACER), env.path("tracer"));
        let made = Command::new("cc").arg("-o").arg(&program).arg(&source).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(program)
    }

    /// Stops a thread; `None` where this account may not.
    pub fn stop(&self, thread: u32) -> Option<Stopped> {
        let mut tracer = Command::new(&self.0);
        tracer.arg(thread.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = tracer.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stopped = Stopped(child);
        (line == "stopped\n").then_some(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The thread of this name in a process.
#[track_caller]
pub fn thread(pid: u32, name: &str) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let called = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    let task = tasks.into_iter().find(called).unwrap_or_else(|| panic!("no thread {name} in {pid}"));
    task.file_name().to_str().unwrap().parse().unwrap()
}
