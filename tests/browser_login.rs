//! Logging in and out in a real browser, by TLS, and links that lead in from elsewhere.

mod common;

use common::axe::{assert_accessible, axe};
use common::browser::{Browser, Web};
use common::{Bg, Env, lacks, send};

const WINDOW: (u32, u32) = (1280, 800);

fn add(env: &Env, name: &str, more: &[&str]) {
    let file = env.write("password", "correct horse\n");
    let mut command = env.reclog(&[&["web", "user", "add", name], more].concat());
    command.stdin(std::fs::File::open(file).unwrap());
    Bg::spawn(command).wait().ok();
}

/// A certificate and its key.
fn certificate(env: &Env) -> [String; 2] {
    let (certificate, key) = (env.arg("c.pem"), env.arg("k.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-keyout", &key, "-out", &certificate])
        .output();
    assert!(made.unwrap().status.success());
    [certificate, key]
}

#[test]
fn one_logs_in_by_tls_is_where_one_wanted_to_be_and_logs_out_again() {
    require!("chromedriver", "openssl");
    let Some(axe) = axe() else { return lacks("one_logs_in", "axe-core below target/tools", "npm") };
    let env = Env::new();
    let shown = env.listen(&["--name", "shown", "--out", &env.arg("shown.log")]);
    let hidden = env.listen(&["--name", "hidden", "--out", &env.arg("hidden.log")]);
    send(shown.port(), "a line to see\n");
    send(hidden.port(), "a line to hide\n");
    add(&env, "ann", &["--stream", "shown"]);
    let [certificate, key] = certificate(&env);
    let web = Web::start(&env, &["--tls-cert", &certificate, "--tls-key", &key]);
    assert!(web.link.starts_with("https://") && !web.link.contains("token"), "{}", web.link);
    let browser = Browser::start(&env, WINDOW, &[]);
    for theme in ["light", "dark"] {
        browser.scheme(theme);
        browser.open("about:blank");
        browser.open(&web.view("s=shown/main&e=line"));
        browser.wait("the form", "!!control('log in') && document.getElementById('next').value");
        assert!(browser.address().ends_with("/login#s=shown/main&e=line"), "{}", browser.address());
        assert_accessible(&browser, &axe, &format!("{theme}: the login"));
    }
    browser.fill("name", "ann");
    browser.fill("password", "wrong");
    browser.press("log in");
    browser.wait("it is said", "document.querySelector('[role=alert]')?.textContent.includes('wrong')");
    browser.fill("name", "ann");
    browser.fill("password", "correct horse");
    browser.press("log in");
    browser.wait_line("a line to see");
    assert!(browser.address().ends_with("/#s=shown/main&e=line"), "{}", browser.address());
    let page = browser.js("return document.body.innerText");
    assert!(page.as_str().unwrap().contains("ann") && !page.as_str().unwrap().contains("hid"), "{page}");
    assert_accessible(&browser, &axe, "the page of a user");
    // What is granted changes under way.
    add(&env, "ann", &["--stream", "hidden"]);
    browser.wait("another password is another login", "!!control('log in')");
    browser.fill("name", "ann");
    browser.fill("password", "correct horse");
    browser.press("log in");
    browser.wait("the other stream", "document.getElementById('overview')?.innerText.includes('hidden')");
    browser.press("log out");
    browser.wait("the form", "!!control('log in')");
    browser.open(&web.view("s=hidden/main"));
    browser.wait("the form again", "!!control('log in')");
    for name in ["shown", "hidden"] {
        env.down(name);
    }
}

#[test]
fn a_link_on_somebody_elses_page_leads_in_for_whoever_is_known() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    send(collector.port(), "a line\n");
    let web = Web::start(&env, &[]);
    let (place, _) = web.link.split_once('?').unwrap();
    let browser = Browser::start(&env, WINDOW, &[]);
    let elsewhere = format!("data:text/html,<a href='{place}%23s=c/main'>to the lines</a>");
    browser.open(&elsewhere);
    browser.press("to the lines");
    browser.wait("what to do is said", "document.body?.innerText.includes('reclog web')");
    browser.open(&web.link);
    browser.wait("it is let in", "!!control('pause')");
    // The cookie does not come along (`SameSite=Strict`), and is there all the same.
    browser.open(&elsewhere);
    browser.press("to the lines");
    browser.wait_line("a line");
    assert!(browser.address().contains("#s=c/main"), "{}", browser.address());
    env.down("c");
}
