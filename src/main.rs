//! Parse, choose the runtime, print the error, exit code; nothing else.

use std::process::ExitCode;

#[cfg(feature = "full")]
fn main() -> ExitCode {
    use clap::Parser as _;
    use reclog::cli::{self, args::Cli};

    let cli = Cli::parse();
    // One thread for the network: a connection is one loop anyway, and a second thread would only cost switches.
    // Writing has threads of its own.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(cli));
            // A name that is still being looked up must not hold up the end.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The sender alone needs no runtime.
#[cfg(not(feature = "full"))]
fn main() -> ExitCode {
    reclog::console::alone::main()
}
