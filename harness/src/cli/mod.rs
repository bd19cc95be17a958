//! The command line. Exit code 0: all held; 1: an invariant broke; 2: the setup is wrong.

mod exec;
mod figures;
mod indexes;
mod init;
mod list;
mod load;
mod run;
mod served;
mod transfer;
mod up;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

use crate::SetupError;

/// What every command may come to.
pub(crate) enum End {
    Held,
    Broke,
    /// Another program's exit code.
    Code(u8),
}

#[derive(Debug, Parser)]
#[command(
    name = "scrimmage",
    version,
    about = "Rehearses the incidents of a batch pipeline against emulated Google Cloud services"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios, healthy and with the defects that they catch
    Run(run::Arguments),
    /// Run every scenario with every defect and show what each one catches
    Matrix(run::MatrixArguments),
    /// Serve the emulated services until interrupted
    Up(up::Arguments),
    /// Write a commented pipeline.toml and a first scenario for a pipeline of your own
    Init(init::Arguments),
    /// Run a command with the environment of freshly started services
    Exec(exec::Arguments),
    /// Write data of running services to a file
    Export(transfer::Arguments),
    /// Read data into running services from a file
    Import(transfer::Arguments),
    /// List scenarios, pipelines' defects and invariants
    List(list::Arguments),
    /// Show how completion contention scales: strategies against numbers of workers
    Load(load::Arguments),
    /// Measure what the suite costs and how fast it is
    Figures(figures::Arguments),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    allow_many_connections();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("scrimmage: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            // It has its own way with signals: they are how it ends.
            Command::Up(arguments) => up::up(arguments).await,
            Command::Run(arguments) if arguments.keeps() => run::run(arguments).await,
            command => {
                tokio::select! {
                    ended = dispatch(command) => ended,
                    // Dropping the command ends what it has started.
                    () = interrupted() => Err(SetupError::Interrupted),
                }
            }
        }
    });
    // Not waited for: a blocking call that hangs must not hold the program.
    runtime.shutdown_background();
    match ended {
        Ok(End::Held) => ExitCode::SUCCESS,
        Ok(End::Broke) => ExitCode::from(1),
        Ok(End::Code(code)) => ExitCode::from(code),
        Err(error) => {
            eprintln!("scrimmage: {error}");
            ExitCode::from(2)
        }
    }
}

async fn dispatch(command: Command) -> Result<End, SetupError> {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Matrix(arguments) => run::matrix(arguments).await,
        Command::Up(arguments) => up::up(arguments).await,
        Command::Init(arguments) => init::init(&arguments),
        Command::Exec(arguments) => exec::exec(arguments).await,
        Command::Export(arguments) => transfer::export(arguments).await,
        Command::Import(arguments) => transfer::import(arguments).await,
        Command::List(arguments) => list::list(&arguments),
        Command::Load(arguments) => load::load(arguments).await,
        Command::Figures(arguments) => figures::figures(arguments).await,
    }
}

/// Raises the soft limit of open files to the hard one: a load of a thousand clients meets it at both ends.
fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it may not be raised, it stays.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Prints a line; a reader that has gone away, such as `head`, is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Returns on SIGINT or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
