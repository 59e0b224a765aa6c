//! Parse, choose the runtime, print the error, exit code; nothing else.
fn main() {
    let _ = <reclog::cli::args::Cli as clap::Parser>::parse();
}
