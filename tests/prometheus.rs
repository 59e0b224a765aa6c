//! What lies in `packaging/` works with a real Prometheus that scrapes a real collector: alert rules and dashboard.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Daemon, Env, LATER, free_port, read_text, send, wait_until};
use serde_json::Value;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// Runs `promtool`, which must succeed; what it says.
#[track_caller]
fn promtool(args: &[&str]) -> String {
    let output = Command::new("promtool").args(args).current_dir(packaging("prometheus")).output().expect("promtool");
    let says = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {args:?}\n{says}");
    says
}

/// A real Prometheus.
struct Prometheus {
    address: String,
    _runs: Daemon,
}

impl Prometheus {
    /// Scrapes `target` every half second.
    fn start(env: &Env, target: &str) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let rules = packaging("prometheus/reclog.rules.yml");
        let config = env.write(
            "prometheus.yml",
            format!(
                "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
                 rule_files: [\"{}\"]\n\
                 scrape_configs: [{{ job_name: reclog, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n",
                rules.display()
            ),
        );
        let mut command = env.command("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", env.arg("tsdb")));
        command.arg(format!("--web.listen-address={address}"));
        let prometheus = Self { address, _runs: Daemon::start(&mut command) };
        wait_until("Prometheus is ready", LATER, || prometheus.ask("/-/ready", &[]).is_some().then_some(()));
        prometheus
    }

    /// The answer to a question with these parameters; `None` for none.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--get", &format!("http://{}{path}", self.address)]);
        for (name, value) in parameters {
            curl.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let output = curl.output().expect("curl");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What its API says.
    #[track_caller]
    fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.ask(&format!("/api/v1/{path}"), parameters).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// The series that `query` has now.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        self.api("query", &[("query", query)])["result"].as_array().expect("a vector").clone()
    }
}

/// All queries of the dashboard: panel and expression, with everything chosen that can be.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read_text(packaging("grafana/reclog.json"))).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter().flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().expect("targets").clone();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().expect("a query").to_owned()))
    });
    let filled = |query: String| {
        // As Grafana fills them in for "All", over a short time.
        let query = query.replace("$collector", ".*").replace("$stream", ".*").replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{query}");
        query
    };
    panels.map(|(title, query)| (title, filled(query))).collect()
}

#[test]
fn the_alert_rules_fire_when_they_should_and_not_before() {
    require!("promtool");
    assert!(promtool(&["check", "rules", "reclog.rules.yml"]).contains("SUCCESS"));
    assert!(promtool(&["test", "rules", "reclog.rules.test.yml"]).contains("SUCCESS"));
    let words = |file: &str| -> BTreeSet<String> {
        let text = read_text(packaging(file));
        let names = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("Reclog"));
        names.map(str::to_owned).collect()
    };
    assert_eq!(words("prometheus/reclog.rules.yml"), words("prometheus/reclog.rules.test.yml"), "each has its test");
    assert!(words("prometheus/reclog.rules.yml").len() >= 12);
}

#[test]
fn a_real_prometheus_scrapes_every_figure_and_the_dashboard_shows_them() {
    require!("prometheus", "promtool", "curl");
    let env = Env::new();
    let (out, gone) = (env.arg("c.log"), env.arg("gone"));
    env.write(
        "config/profiles/c.yaml",
        format!(
            "metrics: 127.0.0.1:0\nstreams:\n  main:\n    listen: 127.0.0.1:0\n    out: [{out}, \"syslog+unix://{gone}\"]\n    \
             framing: syslog\n    max_per_address: 1\n  udp:\n    listen: udp:127.0.0.1:0\n    out: {out}.udp\n"
        ),
    );
    let collector = env.started(env.run(&["up", "c", "--json"]));
    let place = env.snapshot("c")["metrics"].as_str().expect("a place").to_owned();
    let prometheus = Prometheus::start(&env, &place);
    // Something of everything: framing takes octet counts away, and the second sender is one too many.
    send(collector.port(), "6 <13>ab7 <13>abc");
    let _open = std::net::TcpStream::connect(("127.0.0.1", collector.port())).unwrap();
    env.wait_collector("c", "has one in", |c| c["streams"][0]["senders"]["open"] == 1);
    drop(std::net::TcpStream::connect(("127.0.0.1", collector.port())).unwrap());
    env.wait_collector("c", "has forced it to the disk", |c| c["streams"][0]["fsync_seconds"]["count"] == 1);

    let target = wait_until("it is scraped", LATER, || {
        let target = prometheus.api("targets", &[])["activeTargets"][0].clone();
        (target["health"] == "up").then_some(target)
    });
    assert_eq!(target["lastError"], "");
    for (title, query) in queries() {
        wait_until(&format!("the panel {title:?} shows something: {query}"), LATER, || {
            (!prometheus.query(&query).is_empty()).then_some(())
        });
    }
    // What it has is what the collector tells, by the types that it is.
    let told = env.run(&["metrics", "--openmetrics"]).ok().stdout;
    let series = told.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    for (series, _) in series {
        wait_until(&format!("it has {series}"), LATER, || (prometheus.query(series).len() == 1).then_some(()));
    }
    let types = prometheus.api("metadata", &[]);
    let of = |name: &str| types[name][0]["type"].as_str().unwrap_or_default().to_owned();
    // In OpenMetrics, which it asks for, a counter's family has no suffix, and it keeps that.
    let counter = [of("reclog_records"), of("reclog_records_total")];
    assert!(counter.contains(&"counter".to_owned()), "{counter:?}");
    assert_eq!((of("reclog_fsync_seconds"), of("reclog_state")), ("histogram".to_owned(), "gauge".to_owned()));
    // The rules are loaded and can be evaluated over real figures; a healthy collector fires none but that of the output that is away.
    let rules = wait_until("the rules were evaluated", LATER, || {
        let rules = prometheus.api("rules", &[])["groups"][0]["rules"].as_array().cloned()?;
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    });
    assert!(rules.len() >= 12);
    for rule in rules.iter().filter(|rule| rule["state"] != "inactive") {
        let name = rule["name"].as_str().unwrap();
        assert!(["ReclogLosing", "ReclogTroubles"].contains(&name), "{rule:#}");
    }
    env.down("c");
    let down =
        wait_until("it is known to be down", LATER, || prometheus.query("up{job=\"reclog\"} == 0").into_iter().next());
    assert_eq!(down["metric"]["instance"], *place);
}
