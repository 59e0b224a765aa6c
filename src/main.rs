//! Parse, choose the runtime, print the error, exit code; nothing else.
fn main() {
    let cli = <reclog::cli::args::Cli as clap::Parser>::parse();
    if let reclog::cli::args::Verb::Names(args) = &cli.verb {
        reclog::cli::names::run(args);
    }
}
