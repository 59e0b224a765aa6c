//! A real browser: Debian's Chromium, driven through its chromedriver, with a profile of its own.

use std::convert::Infallible;
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions, WheelAction, WheelActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Bg, Daemon, Env, LATER, procs, read_text, wait_until};

/// The browser and its one tab. `Drop` ends it, its driver and whatever they started.
pub struct Browser {
    runtime: Runtime,
    client: Option<Client>,
    driver: Daemon,
}

/// A command of chromedriver beside the standard: its place below the session, and what is sent.
#[derive(Debug)]
struct Post(&'static str, Value);

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

/// Finds controls as somebody finds them who cannot see: by role and accessible name.
const BY_NAME: &str = "
const name = (e) => (e.ariaLabel || (e.id && document.querySelector(`label[for='${e.id}']`)?.textContent) || e.closest('label')?.textContent || e.textContent).trim();
const controls = () => [...document.querySelectorAll('button, a[href], input, summary, [role=button]')].filter((e) => e.checkVisibility());
const control = (text) => controls().find((e) => name(e) === text);
const rows = () => [...document.querySelectorAll('[role=log] .row')];
const texts = () => rows().map((r) => r.querySelector('.text')?.innerText ?? r.innerText);
";

impl Browser {
    /// With a window of this size.
    #[track_caller]
    pub fn start(env: &Env, (width, height): (u32, u32), more: &[&str]) -> Self {
        // The port is its own choice: it takes more than one address of it.
        let told = env.path("chromedriver.log");
        let driver = Daemon::start_told(env.command("chromedriver").arg("--port=0"), &told);
        let port: u16 = wait_until("chromedriver listens", LATER, || {
            let text = read_text(&told);
            let (_, rest) = text.split_once("started successfully on port ")?;
            rest.split_once('.')?.0.parse().ok()
        });
        let mut args = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", env.arg("chromium")),
        ];
        if rustix::process::geteuid().is_root() {
            // Its sandbox does not run as root.
            args.push("--no-sandbox".to_owned());
        }
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
            "acceptInsecureCerts": true,
            "unhandledPromptBehavior": "ignore",
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.as_object().unwrap().clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await
        });
        let browser = Self {
            runtime,
            client: Some(client.unwrap_or_else(|e| panic!("no session: {e}; {}", read_text(&told)))),
            driver,
        };
        browser.post("goog/cdp/execute", metrics(width, height));
        browser
    }

    /// Does `work` while the browser stands still, and reads nothing.
    pub fn frozen<T>(&self, work: impl FnOnce() -> T) -> T {
        let all = procs::descendants(self.driver.pid());
        for pid in &all {
            procs::signal(*pid, Signal::STOP);
        }
        let done = work();
        for pid in &all {
            procs::signal(*pid, Signal::CONT);
        }
        done
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it runs")
    }

    #[track_caller]
    fn post(&self, place: &'static str, body: Value) -> Value {
        self.runtime.block_on(self.client().issue_cmd(Post(place, body))).unwrap_or_else(|e| panic!("{place}: {e}"))
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub fn cdp(&self, command: &str, params: &Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": params }))
    }

    /// Goes to this address.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    #[track_caller]
    pub fn back(&self) {
        self.runtime.block_on(self.client().back()).expect("back");
    }

    #[track_caller]
    pub fn address(&self) -> String {
        self.runtime.block_on(self.client().current_url()).expect("an address").to_string()
    }

    /// What this script returns. It may use `control(NAME)`, `rows()` and `texts()`.
    #[track_caller]
    pub fn js(&self, script: &str) -> Value {
        let all = format!("{BY_NAME}{script}");
        self.runtime.block_on(self.client().execute(&all, vec![])).unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// As [`Browser::js`], for a script that awaits; it fails with what the script throws.
    #[track_caller]
    pub fn js_async(&self, script: &str) -> Value {
        let all = format!(
            "{BY_NAME}const over = arguments[arguments.length - 1];\
             (async () => {{ {script} }})().then((v) => over({{ v }}), (e) => over({{ e: String(e?.stack ?? e) }}));"
        );
        let run = self.runtime.block_on(self.client().execute_async(&all, vec![]));
        let said = run.unwrap_or_else(|e| panic!("{script}: {e}"));
        assert!(said["e"].is_null(), "{}", said["e"].as_str().unwrap_or_default());
        said["v"].clone()
    }

    /// What this script returns when it returns the same for a quarter of a second.
    #[track_caller]
    pub fn still(&self, script: &str) -> Value {
        let (mut last, mut since) = (self.js(script), std::time::Instant::now());
        while since.elapsed() < Duration::from_millis(250) {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.js(script);
            if now != last {
                (last, since) = (now, std::time::Instant::now());
            }
        }
        last
    }

    /// Asks until this expression is true.
    #[track_caller]
    pub fn wait(&self, what: &str, expression: &str) -> Value {
        let script = format!("return ({expression}) || null");
        let start = std::time::Instant::now();
        loop {
            let value = self.js(&script);
            if !value.is_null() {
                return value;
            }
            if start.elapsed() > LATER {
                let seen = self.js("return document.querySelector('footer')?.innerText + '\\n' + document.body.innerText.slice(0, 3000)");
                panic!("waited in vain until {what}; the page:\n{}", seen.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a line of this text is in the document, and returns how many there are.
    #[track_caller]
    pub fn wait_line(&self, text: &str) {
        let text = json!(text);
        self.wait(&format!("the line {text} is shown"), &format!("texts().some((t) => t.includes({text}))"));
    }

    /// The texts of the rows that are in the document.
    #[track_caller]
    pub fn texts(&self) -> Vec<String> {
        let texts = self.js("return texts()");
        texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// All lines that are loaded, also those that no row shows: what the control "copy" copies.
    #[track_caller]
    pub fn loaded(&self) -> String {
        self.cdp(
            "Browser.grantPermissions",
            &json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
        );
        self.js("document.activeElement?.blur(); getSelection().removeAllRanges()");
        self.js_async("await navigator.clipboard.writeText('')");
        self.press("copy");
        self.wait("it is copied", "document.querySelector('footer').innerText.includes('copied')");
        self.js_async("return await navigator.clipboard.readText()").as_str().unwrap_or_default().to_owned()
    }

    /// Presses the control of this name.
    #[track_caller]
    pub fn press(&self, name: &str) {
        let name = json!(name);
        self.wait(&format!("there is a control {name}"), &format!("Boolean(control({name}))"));
        self.js(&format!("control({name}).click()"));
    }

    /// Types these keys, wherever the focus is.
    #[track_caller]
    pub fn keys(&self, text: &str) {
        let mut keys = KeyActions::new("keys".to_owned());
        for value in text.chars() {
            keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.runtime.block_on(self.client().perform_actions(keys)).expect("keys");
    }

    /// Types this into the field of this name, instead of what it holds.
    #[track_caller]
    pub fn fill(&self, name: &str, text: &str) {
        let name = json!(name);
        self.wait(&format!("there is a field {name}"), &format!("Boolean(control({name}))"));
        self.js(&format!("control({name}).focus(); control({name}).select();"));
        self.keys(&format!("\u{e017}{text}"));
    }

    /// Turns the wheel over the lines; up when negative.
    #[track_caller]
    pub fn wheel(&self, y: i64) {
        let rect = self.js("const r = document.querySelector('[role=log]').getBoundingClientRect();\
             return [Math.round(r.x + r.width / 2), Math.round(r.y + r.height / 2)]");
        let at = |i: usize| rect[i].as_i64().unwrap();
        let turn = WheelAction::Scroll { duration: None, x: at(0), y: at(1), delta_x: 0, delta_y: y };
        let wheel = WheelActions::new("wheel".to_owned()).then(turn);
        self.runtime.block_on(self.client().perform_actions(wheel)).expect("a wheel");
    }

    /// The window as a picture (PNG).
    #[track_caller]
    pub fn picture(&self) -> Vec<u8> {
        self.runtime.block_on(self.client().screenshot()).expect("a picture")
    }

    /// The colours that the system is said to prefer: `light` or `dark`.
    #[track_caller]
    pub fn scheme(&self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": feature }));
    }

    /// What stands in the console since it was asked last; answers of the server that say no are left out.
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "browser" }));
        let all = log.as_array().unwrap().iter();
        let told = all.filter(|entry| entry["source"] != "network");
        told.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Nothing went wrong: no error in the console, no dialog, nothing that the policy of the page forbids.
    #[track_caller]
    pub fn assert_quiet(&self) {
        assert_eq!(self.console(), Vec::<String>::new());
        let dialog = self.runtime.block_on(self.client().get_alert_text());
        assert!(dialog.is_err(), "a dialog is open: {dialog:?}");
    }
}

/// The size of the page itself, whatever the window takes for its frame.
fn metrics(width: u32, height: u32) -> Value {
    let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": params })
}

impl Drop for Browser {
    fn drop(&mut self) {
        let below = procs::descendants(self.driver.pid());
        if let Some(client) = self.client.take() {
            let close = async { tokio::time::timeout(Duration::from_secs(10), client.close()).await };
            let _: Result<Result<(), _>, _> = self.runtime.block_on(close);
        }
        // Whatever did not go with it.
        for pid in below {
            procs::signal(pid, Signal::KILL);
        }
    }
}

/// `reclog web`, which says where it is. `Drop` ends it.
pub struct Web {
    bg: Bg,
    /// The link that it printed.
    pub link: String,
}

impl Web {
    /// At a free port of the loopback interface.
    #[track_caller]
    pub fn start(env: &Env, more: &[&str]) -> Self {
        Self::at(env, super::free_port(), more)
    }

    /// At this port.
    #[track_caller]
    pub fn at(env: &Env, port: u16, more: &[&str]) -> Self {
        let place = format!("127.0.0.1:{port}");
        let mut bg = env.spawn(&[&["web", "--listen", &place], more].concat());
        let said = bg.wait_stdout("\n");
        Self { bg, link: said.lines().next().unwrap().to_owned() }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.bg.pid()
    }

    /// Ends it without a word.
    pub fn kill(self) {
        procs::kill(self.bg.pid());
    }

    /// The address of a view: its fragment behind the link.
    pub fn view(&self, fragment: &str) -> String {
        format!("{}#{fragment}", self.link)
    }

    /// What it says on stderr.
    pub fn stderr(&self) -> String {
        self.bg.stderr()
    }
}
