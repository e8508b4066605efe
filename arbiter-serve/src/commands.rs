//! What each command does, and the exit code it ends with.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use chiffon_common::{ErrorCode, Problem, contracts};
use tracing::level_filters::LevelFilter;

use crate::{
    args::{AuditCommand, Cli, Command, ConfigCommand, Configured, Replay, Serve, Verify},
    audit::{self, Beginning},
    config::Config,
    replay::{self, Unproven},
    serve,
};

/// It failed, or does not verify.
const FAILED: u8 = 1;
/// The command line or configuration is not permitted.
const USAGE: u8 = 2;

/// How often a replay is begun anew because a serving arbiter has removed a file (`audit.keep`) before it was read.
const TRIES: u32 = 10;

/// Where the configuration is looked for, unless one is named.
const USUAL: &str = "config.yaml";

/// Why a command did not do what it was asked.
enum Failure {
    /// With its exit code.
    Problems(u8, Vec<Problem>),
    /// What was looked at does not fit.
    Unfit(String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let status = match problem.code.http_status() {
            400 => USAGE,
            _ => FAILED,
        };
        Self::Problems(status, vec![problem])
    }
}

type Done = Result<(), Failure>;

/// Runs a command.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Serve(args) => serving(args, cli.verbose),
        Command::Audit(AuditCommand::Verify(args)) => verify(&args),
        Command::Replay(args) => replaying(&args),
        Command::Contracts => shown(),
        Command::Config(ConfigCommand::Check(args)) => check(&args),
    };
    let Err(failure) = done else {
        return ExitCode::SUCCESS;
    };
    match failure {
        Failure::Problems(status, problems) => {
            for problem in problems {
                say(&format!("error: {problem}\n  {}", problem.todo));
            }
            ExitCode::from(status)
        }
        Failure::Unfit(why) => {
            say(&format!("error: {why}"));
            ExitCode::from(FAILED)
        }
    }
}

/// A line on standard error; whoever has closed it does not want to know.
fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// What is permitted and has no effect.
fn warn(config: &Config) {
    for warning in &config.warnings {
        say(&format!("warning: {warning}"));
    }
    let authz = &config.policy.authz;
    let permits = |role: &String| authz.roles.get(role).is_some_and(|may| !may.is_empty());
    let is_closed = !authz.grants.iter().any(|grant| permits(&grant.role));
    if config.authorizer.is_none() && is_closed {
        say(
            "warning: nobody is permitted anything: no grant in policy.grants names a role that permits something, and no authz.endpoint is set",
        );
    }
}

fn print(text: &str) -> Done {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Failure::Unfit(format!("standard output cannot be written: {error}")))
}

fn configured(args: &Configured) -> Result<Config, Failure> {
    let read = match &args.config {
        Some(path) => Config::read(path),
        None if Path::new(USUAL).exists() => Config::read(Path::new(USUAL)),
        None => Config::of_nothing(),
    };
    read.map_err(|problems| Failure::Problems(USAGE, problems))
}

/// The configuration that was named, where one was.
fn named(path: Option<&Path>) -> Result<Option<Config>, Failure> {
    let read = path.map(Config::read).transpose();
    read.map_err(|problems| Failure::Problems(USAGE, problems))
}

fn serving(args: Serve, verbose: u8) -> Done {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // A log that finds no room ends nothing: by default it would be told on the same standard error, which panics.
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // A second call has no effect, and needs none.
    let _begun = log.with_max_level(level).with_ansi(false).try_init();
    let config = configured(&args.configured)?.listen_on(args.listen)?;
    warn(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build()
        .map_err(|error| {
            let detail = format!("no runtime: {error}");
            Problem::new(ErrorCode::Internal, detail, "please report this")
        })?;
    let served = runtime.block_on(Box::pin(serve::serve(config)));
    // What still blocks a thread is waited for by nobody.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(served?)
}

fn check(args: &Configured) -> Done {
    let usual = PathBuf::from(USUAL);
    let path = args.config.as_ref().unwrap_or(&usual);
    // `serve` does without one; whoever asks whether it is in order means one that is there.
    if !path.exists() {
        let detail = format!("there is no {} here", path.display());
        let todo = "go to its folder, or name it with --config";
        return Err(Problem::new(ErrorCode::InvalidValue, detail, todo).into());
    }
    warn(&configured(args)?.listen_on(None)?);
    print(&format!("{} is in order", path.display()))
}

fn verify(args: &Verify) -> Done {
    let config = named(args.config.as_deref())?;
    let keep = config.map_or(0, |config| config.audit.rotation.keep);
    let beginning = match keep {
        _ if args.whole => Beginning::First,
        // Nothing of ours removes files then.
        0 => Beginning::FirstOfFolder,
        _ => Beginning::Any,
    };
    // A file that cannot be read is told of by who reads it.
    if replay::is_export(&args.path).unwrap_or(false) {
        return Err(Failure::Unfit(format!(
            "{path} is an export of an orchestrator's audit, which has other chains: `chiffon audit verify` proves the audit that it was drawn from, and `arbiter replay {path}` judges it again",
            path = args.path.display()
        )));
    }
    let verified = audit::verify(&args.path, &args.anchor, beginning);
    let verified = verified.map_err(|error| Failure::Unfit(error.to_string()))?;
    let audit::Verified {
        files,
        lines,
        first,
        head,
    } = verified;
    if first > 1 {
        print(&format!(
            "begins at record {first}; what was before it is not there"
        ))?;
    }
    print(&format!(
        "{lines} records in {files} files, each follows the one before it"
    ))?;
    print(&format!("head {}:{}", head.seq, head.hash))
}

fn replaying(args: &Replay) -> Done {
    let config = named(args.config.as_deref())?;
    let policy = config.as_ref().map(|config| &config.policy);
    let mut replayed = replay::replay(&args.path, policy);
    for _ in 0..TRIES {
        match &replayed {
            Err(Unproven::Unreadable { path, source })
                if *path != args.path && source.kind() == std::io::ErrorKind::NotFound =>
            {
                replayed = replay::replay(&args.path, policy);
            }
            _ => break,
        }
    }
    let replayed = replayed.map_err(|error| Failure::Unfit(error.to_string()))?;
    let same = match replayed.aside {
        0 => "every one came out identical",
        _ => "every plan came out identical",
    };
    print(&format!(
        "{} decisions in {} files judged again: {same} ({} other records)",
        replayed.decisions, replayed.files, replayed.others
    ))?;
    if replayed.aside > 0 {
        print(&format!(
            "{} of them have the same plan and leave other states behind, or say other things on the way",
            replayed.aside
        ))?;
    }
    Ok(())
}

fn shown() -> Done {
    let text = contracts(false).and_then(|all| serde_json::to_string_pretty(&all));
    print(&text.map_err(|error| Failure::Unfit(error.to_string()))?)
}
