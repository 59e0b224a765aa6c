//! The same for launchd and supervisord; pure.

use super::quote;
use super::{Scope, Service};

/// Seconds that an end may take beside the drain, until the process is killed.
const FLUSH: u64 = 30;

/// A property list for launchd: `~/Library/LaunchAgents`, or `/Library/LaunchDaemons` with `--system`.
#[must_use]
pub fn launchd(service: &Service) -> String {
    let string = |text: &str| format!("<string>{}</string>", quote::xml(text));
    let command: String = service.command().iter().fold(String::new(), |text, word| text + "\n    " + &string(word));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- launchd cannot be told which exit codes are final: after 2, 4 and 5 it tries again, too. -->\n\
         <plist version=\"1.0\">\n<dict>\n  <key>Label</key>\n  {}\n  <key>ProgramArguments</key>\n  <array>{command}\n  </array>\n",
        string(&label(service)),
    );
    let mut entry = |key: &str, value: &str| text.push_str(&format!("  <key>{key}</key>\n  {value}\n"));
    entry("RunAtLoad", "<true/>");
    entry("KeepAlive", "<dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>");
    entry("ThrottleInterval", "<integer>10</integer>");
    entry("ExitTimeOut", &format!("<integer>{}</integer>", service.needs.drain.as_secs().saturating_add(FLUSH)));
    entry("ProcessType", &string("Background"));
    if let Scope::System(account) = &service.scope {
        entry("UserName", &string(&account.name));
        entry("Umask", "<integer>63</integer>");
    }
    if !service.environment.is_empty() {
        let each =
            |(key, value): &(String, String)| format!("\n    <key>{}</key>\n    {}", quote::xml(key), string(value));
        let all: String = service.environment.iter().map(each).collect();
        entry("EnvironmentVariables", &format!("<dict>{all}\n  </dict>"));
    }
    text.push_str("</dict>\n</plist>\n");
    text
}

/// The name that launchd knows it by.
fn label(service: &Service) -> String {
    format!("reclog.{}", service.name)
}

/// A section for supervisord's configuration.
#[must_use]
pub fn supervisord(service: &Service) -> String {
    let command: Vec<String> = service.command().iter().map(|word| quote::supervisor(word)).collect();
    let mut text = format!("[program:reclog-{}]\ncommand={}\n", service.name, command.join(" "));
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
    let mut environment = service.environment.clone();
    if let Scope::System(account) = &service.scope {
        line("user", &account.name);
        line("umask", "077");
        // supervisord changes the user and leaves the rest as it was.
        let home = account.home.to_string_lossy().into_owned();
        environment.extend([("HOME".to_owned(), home), ("USER".to_owned(), account.name.clone())]);
    }
    if !environment.is_empty() {
        let each = |(key, value): &(String, String)| {
            format!("{key}=\"{}\"", value.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\""))
        };
        line("environment", &environment.iter().map(each).collect::<Vec<_>>().join(","));
    }
    line("autostart", "true");
    line("autorestart", "unexpected");
    // Done; wrong; refused; a host key: trying again helps nobody. Told to stop before it was up.
    line("exitcodes", "0,2,4,5,130");
    line("startsecs", "0");
    line("stopsignal", "TERM");
    line("stopwaitsecs", &service.needs.drain.as_secs().saturating_add(FLUSH).to_string());
    // The signal goes to reclog alone: its helpers live through the drain.
    line("stopasgroup", "false");
    line("killasgroup", "true");
    line("redirect_stderr", "true");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing;

    #[test]
    fn launchd_starts_it_again_unless_it_ended_well() {
        let mut service = testing::service(testing::system());
        service.environment.push(("RECLOG_STATE_DIR".into(), "/a & b".into()));
        let text = launchd(&service);
        for part in [
            "<key>Label</key>\n  <string>reclog.web</string>",
            "<key>SuccessfulExit</key>\n    <false/>",
            "<key>UserName</key>\n  <string>log</string>",
            "<string>/a &amp; b</string>",
            "<string>--keep-trying</string>",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn supervisord_leaves_what_is_wrong_alone() {
        let mut service = testing::service(testing::system());
        service.environment.push(("RECLOG_STATE_DIR".into(), "/100%".into()));
        let text = supervisord(&service);
        for line in [
            "[program:reclog-web]",
            "command=/usr/bin/reclog up web --foreground --keep-trying",
            "user=log",
            "environment=RECLOG_STATE_DIR=\"/100%%\",HOME=\"/home/log\",USER=\"log\"",
            "exitcodes=0,2,4,5,130",
            "stopwaitsecs=40",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
