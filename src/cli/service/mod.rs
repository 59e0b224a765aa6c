//! `reclog service`

pub mod examine;
mod install;
mod look;
mod waiting;

use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::args_service::{ExamineArgs, KindArg, ServiceArgs, ServicePlace, ServicePrint, ServiceVerb};
use super::printer::Printer;
use super::words;
use crate::error::{Error, Kind, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::is_name;
use crate::service::{self, Account, Credential, Manager, NoManager, Scope, Service};
use examine::Examined;

/// Where units of the machine lie that its administrator writes.
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// Does what is asked.
pub async fn run(args: &ServiceArgs, paths: &Paths, printer: Printer) -> Result<()> {
    match &args.verb {
        ServiceVerb::Install(what) => install::install(&what.name, &what.place, paths, printer).await,
        ServiceVerb::Uninstall(what) => install::uninstall(&what.name, &what.place, paths, printer).await,
        ServiceVerb::Status(what) => look::run(&what.name, &what.place, paths, printer).await,
        ServiceVerb::Print(what) => print(what, paths, printer).await,
    }
}

/// The hidden half of `install` and `print`.
pub async fn examined(args: &ExamineArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let told: Result<Examined> = examine::answer(&args.name, args.writes, paths).await;
    printer.json(&told)
}

async fn print(args: &ServicePrint, paths: &Paths, printer: Printer) -> Result<()> {
    let draft = Draft::new(&args.name, &args.place, paths)?;
    let Examined { needs, login, notes } = match draft.examine(false).await {
        // Text is wanted, not a service: root may read what its account cannot, and runs nothing of it.
        Err(why) if draft.account().is_some() && rustix::process::geteuid().is_root() => {
            let mut examined = examine::read(&args.name, paths).map_err(|_| why.clone())??;
            examined.notes.push(format!("the service would not start: {}", why.message));
            examined
        }
        examined => examined?,
    };
    for note in &notes {
        printer.warning(note);
    }
    if let Some(error) = login {
        printer.warning(&format!("a login there failed: {}", error.message));
    }
    let (service, missing) = draft.service(needs);
    for error in missing {
        printer.warning(&error.message);
    }
    warn_of_open_home(&service, printer);
    printer.data(&match args.kind {
        KindArg::Systemd => service.unit(service::version()),
        KindArg::Launchd => service.launchd(),
        KindArg::Supervisord => service.supervisord(),
    })
}

/// Says so when an output has the service write where keys and profiles are.
fn warn_of_open_home(service: &Service, printer: Printer) {
    let Some(folder) = service.opens() else { return };
    printer.warning(&format!(
        "an output lies directly in {}: the service may write everything there, keys and profiles among it",
        words::path(folder)
    ));
    printer.note("hint: give the outputs a folder of their own, such as out: ~/logs/file.log");
}

/// A service before its profile was looked at.
struct Draft {
    name: String,
    scope: Scope,
    home: PathBuf,
    environment: Vec<(String, String)>,
    program: PathBuf,
}

impl Draft {
    fn new(name: &str, place: &ServicePlace, paths: &Paths) -> Result<Self> {
        check_name(name)?;
        let scope = scope(place)?;
        let program = std::env::current_exe()
            .map_err(|e| Error::failed(format!("cannot find the program that runs: {}", io_reason(&e))))?;
        // By root, for the one who runs it: the same profile must be there for the service.
        let (home, environment) = match &scope {
            Scope::System(account) => (account.home.clone(), system_environment(name, paths)),
            Scope::User => {
                let home = home()?;
                let environment = user_environment(&home, paths);
                (home, environment)
            }
        };
        for text in
            [&program, &home].into_iter().map(|p| p.to_string_lossy()).chain(environment.iter().map(|(_, v)| v.into()))
        {
            if text.contains(char::is_control) || text.contains(char::REPLACEMENT_CHARACTER) {
                return Err(Error::failed(format!("the path {} cannot stand in a unit", escape_str(&text)))
                    .hint("paths of UTF-8 without line breaks can"));
            }
        }
        Ok(Self { name: name.to_owned(), scope, home, environment, program })
    }

    fn account(&self) -> Option<&Account> {
        match &self.scope {
            Scope::System(account) => Some(account),
            Scope::User => None,
        }
    }

    /// Asks what the profile needs, as whoever the service runs as.
    async fn examine(&self, writes: bool) -> Result<Examined> {
        let me = rustix::process::geteuid().as_raw();
        let other = self.account().filter(|account| account.uid != me);
        if let Some(account) = other
            && me != 0
        {
            return Err(Error::failed(format!("cannot look at a profile of {}: only root can", account.name))
                .hint("sudo reclog service …"));
        }
        let examined = examine::ask(&self.name, writes, other, &self.home, &self.environment).await?;
        let paths = examined.needs.writes.iter().chain(&examined.needs.reads);
        if let Some(path) = paths.map(|path| path.to_string_lossy()).find(|path| path.contains(char::is_control)) {
            return Err(Error::usage(format!("the path {} cannot stand in a unit", escape_str(&path))));
        }
        Ok(examined)
    }

    /// The service, and what is wrong with its credentials.
    fn service(self, needs: service::Needs) -> (Service, Vec<Error>) {
        let (mut credentials, mut missing) = (Vec::new(), Vec::new());
        for name in &needs.credentials {
            match credential(name, &self.scope, &self.home) {
                Ok(found) => credentials.push((name.clone(), found)),
                Err((wanted, error)) => {
                    credentials.push((name.clone(), wanted));
                    missing.push(error);
                }
            }
        }
        let Self { name, scope, environment, program, .. } = self;
        (Service { name, program, scope, environment, credentials, needs }, missing)
    }
}

/// Where the credential `name` lies; with the error comes where it should.
fn credential(name: &str, scope: &Scope, home: &Path) -> std::result::Result<Credential, (Credential, Error)> {
    let root = match scope {
        Scope::System(_) => PathBuf::from("/etc"),
        Scope::User => home.join(".config"),
    };
    let [plain, encrypted] = ["credstore", "credstore.encrypted"].map(|folder| root.join(folder).join(name));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    if encrypted.exists() {
        return Ok(Credential::Encrypted(text(&encrypted)));
    }
    if plain.exists() {
        return Ok(Credential::Plain(text(&plain)));
    }
    let error =
        Error::failed(format!("there is no credential {name} for the service: {} does not exist", text(&plain)))
            .hint(format!("systemd-creds encrypt --name={name} FILE {}", text(&encrypted)))
            .hint(format!("or, as it is: install -m 600 FILE {}", text(&plain)));
    Err((Credential::Plain(text(&plain)), error))
}

/// A name that leads nowhere but to a profile and a unit.
fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let error = Error::usage(format!("{} is no name of a saved profile", quoted(name)));
    Err(if name.contains(['@', ':']) || name.contains('/') {
        error.hint("save what is to run first: reclog up TARGET … --save NAME").hint("or: reclog profile init NAME")
    } else {
        error.hint("`reclog profile list` shows those that there are")
    })
}

fn quoted(text: &str) -> String {
    format!("`{}`", escape_str(text))
}

fn home() -> Result<PathBuf> {
    let given = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let ours = || User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    given.or_else(ours).ok_or_else(|| Error::failed("cannot find your home directory").hint("set HOME"))
}

/// For whom a service runs.
fn scope(place: &ServicePlace) -> Result<Scope> {
    if !place.system {
        return Ok(Scope::User);
    }
    let root = rustix::process::geteuid().is_root();
    let named = place.user.clone();
    let sudo = || std::env::var("SUDO_USER").ok().filter(|user| root && user != "root");
    let me = || {
        let user = User::from_uid(nix::unistd::geteuid()).ok().flatten();
        user.filter(|_| !root).map(|user| user.name)
    };
    let Some(name) = named.or_else(sudo).or_else(me) else {
        return Err(Error::usage("--system needs the account that the service runs as, and root is none")
            .hint("--user USER names it; `adduser --system --group --home /var/lib/log log` makes one"));
    };
    let user = User::from_name(&name).ok().flatten();
    let user = user.ok_or_else(|| Error::usage(format!("there is no account {}", quoted(&name))))?;
    if user.uid.is_root() {
        return Err(Error::usage(
            "a service of reclog does not run as root: strangers speak to it, and it needs no rights",
        )
        .hint("--user USER names an account without any"));
    }
    Ok(Scope::System(Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }))
}

/// State and runtime of a system service lie where systemd makes folders for it; the profile is its account's, unless another folder
/// is told.
fn system_environment(name: &str, paths: &Paths) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if std::env::var_os("RECLOG_CONFIG_DIR").is_some_and(|folder| !folder.is_empty()) {
        all.push(("RECLOG_CONFIG_DIR".to_owned(), paths.config.to_string_lossy().into_owned()));
    }
    all.push(("RECLOG_STATE_DIR".to_owned(), service::state(name)));
    all.push(("RECLOG_RUNTIME_DIR".to_owned(), service::runtime(name)));
    all
}

/// Folders that the user's manager would not find by itself.
fn user_environment(home: &Path, paths: &Paths) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |key: &str, path: &Path| all.push((key.to_owned(), path.to_string_lossy().into_owned()));
    if paths.config != home.join(".config/reclog") {
        add("RECLOG_CONFIG_DIR", &paths.config);
    }
    if paths.state != home.join(".local/state/reclog") {
        add("RECLOG_STATE_DIR", &paths.state);
    }
    if std::env::var_os("RECLOG_RUNTIME_DIR").is_some_and(|folder| !folder.is_empty()) {
        add("RECLOG_RUNTIME_DIR", &paths.runtime);
    }
    all
}

/// Where the service `name` has its sockets and its trail.
fn paths_of(name: &str, scope: &Scope, paths: &Paths) -> Paths {
    match scope {
        Scope::User => paths.clone(),
        Scope::System(_) => Paths {
            config: paths.config.clone(),
            state: service::state(name).into(),
            runtime: service::runtime(name).into(),
        },
    }
}

/// The unit's file.
fn unit_file(name: &str, scope: &Scope, home: &Path) -> PathBuf {
    let folder = match scope {
        Scope::System(_) => PathBuf::from(SYSTEM_UNITS),
        Scope::User => home.join(".config/systemd/user"),
    };
    folder.join(service::unit_name(name))
}

/// The manager that is meant.
fn manager(name: &str, scope: &Scope) -> Result<Manager> {
    let user = *scope == Scope::User;
    Manager::find(user).map_err(|why| match why {
        NoManager::NoSystemd => Error::failed(format!(
            "cannot make {name} a service: systemd does not run this machine"
        ))
        .hint(format!(
            "`reclog service print {name} --kind supervisord` (or launchd) prints what another service manager reads"
        ))
        .hint(format!("without any, a line in `crontab -e`: @reboot reclog up {name} --keep-trying")),
        NoManager::NoUserManager(said) if user => {
            let who =
                User::from_uid(nix::unistd::getuid()).ok().flatten().map_or_else(|| "USER".to_owned(), |u| u.name);
            Error::failed(format!("cannot reach the service manager of {who}: {said}"))
                .hint(format!("it starts when you log in, or at boot after: sudo loginctl enable-linger {who}"))
                .hint("in a shell of su or sudo: export XDG_RUNTIME_DIR=/run/user/$(id -u)")
                .hint(format!("or a service of the machine: sudo reclog service install {name} --system --user {who}"))
        }
        NoManager::NoUserManager(said) => Error::failed(format!("cannot reach systemd: {said}")),
    })
}

/// For a verb that is about what may have been installed by another one: the account does not matter.
fn any_scope(place: &ServicePlace) -> Result<Scope> {
    if place.system && place.user.is_none() {
        let account = Account { name: String::new(), uid: 0, gid: 0, home: "/".into() };
        return Ok(Scope::System(account));
    }
    scope(place)
}

/// The class of an exit code.
fn kind_of(code: u8) -> Kind {
    match code {
        2 => Kind::Usage,
        4 => Kind::Refused,
        5 => Kind::HostKey,
        _ => Kind::Failed,
    }
}
