//! Whether a profile can run as a service, and what that needs.
//!
//! Asked in a process of its own, as the account that the service runs as and with the environment that it will have: what is in
//! a shell of today (an agent, a home, rights) proves nothing for a boot next month.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::error::{Error, Kind, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::{Plan, Source, SshPlan, StreamPlan, To};
use crate::profile;
use crate::service::{Account, Needs};
use crate::ssh::{self, Answer, Asking, Connection, Person, Proxy, Question, QuestionKind, Settings};

/// The hidden verb.
pub const VERB: &str = "__service";
/// A good-bye to the jump host takes no longer.
const FAREWELL: Duration = Duration::from_secs(1);
/// What stands before the name of a credential.
const CREDENTIAL: &str = "credential:";

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Examined {
    /// What the service needs.
    pub needs: Needs,
    /// What a login there came to, when it failed without a question.
    pub login: Option<Error>,
    /// What is worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// Asks in a process of `account`; `None`: of this user. `writes`: a new host key that is accepted unseen is written down, as `up`
/// would do it; the service itself may not.
///
/// # Errors
/// Why the profile is no service.
pub async fn ask(
    name: &str,
    writes: bool,
    account: Option<&Account>,
    home: &Path,
    environment: &[(String, String)],
) -> Result<Examined> {
    let failed = |why: String| Error::failed(format!("cannot look at the profile {name}: {why}"));
    let program = std::env::current_exe().map_err(|e| failed(io_reason(&e)))?;
    let mut command = Command::new(program);
    command
        .args([VERB, name])
        .args(writes.then_some("--writes"))
        .env_clear()
        // As systemd has it for services.
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", home)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if let Some(account) = account {
        command.env("USER", &account.name).env("LOGNAME", &account.name).uid(account.uid).gid(account.gid);
    }
    let output = command.output().await.map_err(|e| {
        let who = account.map_or_else(String::new, |account| format!(" as {}", account.name));
        failed(format!("reclog cannot be run{who}: {}", io_reason(&e)))
    })?;
    let told: Result<Examined, Error> =
        serde_json::from_slice(&output.stdout).map_err(|e| failed(format!("{} ({e})", output.status)))?;
    told
}

/// The other side of [`ask`]: prints what it finds, as JSON.
///
/// # Errors
/// Why the profile is no service.
pub async fn answer(name: &str, writes: bool, paths: &Paths) -> Result<Examined> {
    let checked = profile::check(name, paths)?;
    let plan = checked.plan;
    let mut notes = checked.warnings;
    keywords(name, &plan)?;
    let mut needs = of_plan(&plan, checked.path);
    let mut login = None;
    if let Some(way) = &plan.ssh {
        let mut way = way.clone();
        // Those are handed to the service alone: nobody can log in with them here.
        let (handed, files) = way.identities.into_iter().partition::<Vec<_>, _>(|path| name_of(path).is_some());
        way.identities = files;
        let tries = handed.is_empty();
        needs.reads.extend(handed);
        let settings = {
            let way = way.clone();
            let resolving = tokio::task::spawn_blocking(move || ssh::resolve(&way));
            resolving
                .await
                .unwrap_or_else(|_| Err(Error::failed("cannot read the ssh configuration: reclog failed")))?
        };
        of_ssh(&way, &settings, &mut needs);
        let (failure, asked) = if tries { try_login(settings, writes).await } else { (None, None) };
        if let Some(question) = asked {
            return Err(question_error(name, &plan, &question));
        }
        login = failure;
    }
    for folder in needs.writes.iter().filter(|folder| !folder.is_dir()) {
        notes.push(format!("the folder {} does not exist yet", shown(folder)));
    }
    credentials(&mut needs);
    Ok(Examined { needs, login, notes })
}

/// As [`answer`], as far as the profile itself tells: nothing is run and nobody is asked. What is refused for its questions is an
/// answer, too.
///
/// # Errors
/// When the profile cannot be read, or means nothing.
pub fn read(name: &str, paths: &Paths) -> Result<Result<Examined>> {
    let checked = profile::check(name, paths)?;
    let (plan, notes) = (checked.plan, checked.warnings);
    if let Err(error) = keywords(name, &plan) {
        return Ok(Err(error));
    }
    let mut needs = of_plan(&plan, checked.path);
    if let Some(way) = &plan.ssh {
        let agent = way.options.iter().any(|(key, _)| key.eq_ignore_ascii_case("IdentityAgent"));
        if let Some(key) = way.identities.iter().find(|key| !agent && ssh::is_locked(key)) {
            return Ok(Err(question_error(name, &plan, &passphrase(key))));
        }
        needs.reads.extend(way.config_file.iter().chain(&way.identities).cloned());
    }
    credentials(&mut needs);
    Ok(Ok(Examined { needs, login: None, notes }))
}

fn keywords(name: &str, plan: &Plan) -> Result<()> {
    let mut all = plan.streams.iter().flat_map(|stream| &stream.keywords);
    if all.any(|keyword| keyword.from == Source::Given) {
        return Err(asks(name, "for a keyword")
            .hint("keyword_file: the path of a file, or credential:NAME for one that systemd hands over"));
    }
    Ok(())
}

fn of_plan(plan: &Plan, file: PathBuf) -> Needs {
    let mut needs = Needs { drain: plan.drain_timeout, reads: vec![file], ..Needs::default() };
    for stream in &plan.streams {
        of_stream(stream, plan.ssh.is_none(), &mut needs);
    }
    needs
}

fn passphrase(key: &Path) -> Question {
    Question { text: format!("passphrase for {}", shown(key)), kind: QuestionKind::Secret }
}

fn shown(path: &Path) -> String {
    escape_str(&path.display().to_string())
}

fn asks(name: &str, what: &str) -> Error {
    Error::usage(format!("the profile {name} asks {what}, and nobody answers a service"))
}

fn question_error(name: &str, plan: &Plan, question: &Question) -> Error {
    let what = question.text.lines().last().unwrap_or_default().trim().trim_end_matches(':');
    let key = plan.ssh.as_ref().and_then(|way| way.identities.first());
    let key = key.map_or_else(|| "~/.ssh/KEY".to_owned(), |key| shown(key));
    asks(name, &format!("a question (\"{what}\")"))
        .hint(format!(
            "a key of its own without a passphrase and without a code, restricted to its port, works: `reclog harden {name}` \
             prints the line for the server"
        ))
        .hint(format!("or an agent that is always there and holds {key}: ssh: {{ options: {{ IdentityAgent: /PATH/TO/SOCKET }} }}"))
        .hint("or no service: `reclog up` asks once, and reconnects with what it was told")
}

fn of_stream(stream: &StreamPlan, here: bool, needs: &mut Needs) {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    for output in stream.outputs() {
        match output.to() {
            To::File => needs.writes.push(folder(output.name())),
            To::Files(template) => needs.writes.push(template.fixed().to_owned()),
            To::Exec(_) => needs.commands = true,
            To::Stdout | To::Syslog(_) => {}
        }
    }
    for keyword in &stream.keywords {
        if let Source::File(file) = &keyword.from {
            needs.reads.push(file.clone());
        }
    }
    if here {
        if let Some(socket) = stream.transport.socket() {
            needs.writes.push(folder(socket));
        }
        needs.low_port |= (1..1024).contains(&stream.port);
    }
}

fn of_ssh(way: &SshPlan, settings: &Settings, needs: &mut Needs) {
    needs.reads.extend(way.config_file.clone());
    for host in [settings].into_iter().chain(&settings.jumps) {
        needs.commands |= matches!(host.proxy, Proxy::Command(_));
        let files = [&host.identities, &host.certificates, &host.user_known_hosts, &host.global_known_hosts];
        needs.reads.extend(files.into_iter().flatten().cloned());
        needs.reads.extend(host.revoked_host_keys.iter().chain(&host.agent).cloned());
    }
    // The configuration, and what it includes, lies where keys do.
    if let Some(home) = std::env::var_os("HOME") {
        needs.reads.push(Path::new(&home).join(".ssh/config"));
    }
}

/// The name of a credential, where a path could be.
fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix(CREDENTIAL)
}

/// Takes names of credentials out of the files, and adds where links lead.
fn credentials(needs: &mut Needs) {
    let mut files = BTreeSet::new();
    for path in std::mem::take(&mut needs.reads) {
        if let Some(name) = name_of(&path) {
            needs.credentials.push(name.to_owned());
        } else {
            files.extend(path.canonicalize());
            files.insert(path);
        }
    }
    needs.reads = files.into_iter().filter(|path| path.is_absolute() && path != Path::new("/dev/null")).collect();
    needs.credentials.sort();
    needs.credentials.dedup();
    let writes: BTreeSet<PathBuf> = needs.writes.drain(..).collect();
    needs.writes = writes.into_iter().collect();
}

/// Logs in and leaves. With the error comes what was asked; that the host cannot be reached is neither.
async fn try_login(mut settings: Settings, writes: bool) -> (Option<Error>, Option<Question>) {
    settings.writes_unseen &= writes;
    settings.jumps.iter_mut().for_each(|hop| hop.writes_unseen &= writes);
    let locked = ssh::locked_alone(&settings);
    let witness = Arc::new(Witness::default());
    let person: Arc<dyn Person> = Arc::clone(&witness) as _;
    match Connection::establish(Arc::new(settings), person, Arc::default(), &|_, _| {}).await {
        Ok(connection) => {
            connection.close(FAREWELL).await;
            (None, None)
        }
        Err(error) => {
            let asked = witness.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            if error.kind != Kind::Failed {
                return (Some(error), asked);
            }
            // Nobody is there to be logged in to today; a key that asks will ask then.
            (None, asked.or_else(|| locked.as_deref().map(passphrase)))
        }
    }
}

/// Remembers what was asked, and answers nothing.
#[derive(Default)]
struct Witness {
    asked: Mutex<Option<Question>>,
}

impl Person for Witness {
    fn ask(&self, question: Question) -> Asking<'_> {
        // An unknown host key is an error of its own.
        if question.kind != QuestionKind::HostKey {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(question);
        }
        Box::pin(std::future::ready(Answer::Nobody))
    }

    fn tell(&self, text: &str) {
        tracing::debug!("{text}");
    }
}
