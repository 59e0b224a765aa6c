//! What a real browser shows of real collectors: lines as they come, filters, several streams, what comes and goes.

mod common;

use common::browser::{Browser, Web};
use common::{Env, Sender, Sshd, send, wait_until};
use serde_json::json;

/// A window as most people have it.
const WINDOW: (u32, u32) = (1280, 800);

/// Lines `FROM … TO`, each with its number.
fn lines(word: &str, from: usize, to: usize) -> String {
    let line = |n| format!("{word} number {n}.\n");
    (from..to).map(line).collect()
}

#[test]
fn the_modules_of_the_page_keep_their_promises() {
    require!("chromedriver");
    let env = Env::new();
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.link);
    let prelude = include_str!("page/prelude.js");
    for promises in [
        include_str!("page/sse.js"),
        include_str!("page/text.js"),
        include_str!("page/words.js"),
        include_str!("page/buffer.js"),
    ] {
        let load = "const load = (name) => import(new URL('page/' + name, document.baseURI));";
        let kept = browser.js_async(&format!("{load}\n{prelude}\n{promises}\nreturn await run();"));
        assert!(kept.as_u64().is_some_and(|kept| kept > 2), "{kept}");
    }
    browser.assert_quiet();
}

#[test]
fn lines_through_a_real_sshd_are_shown_as_they_come_and_the_address_bar_opens_the_same_view() {
    require!("chromedriver", "sshd");
    let env = Env::new();
    let sshd = Sshd::start();
    env.trust(&sshd);
    let out = env.arg("c.log");
    let collector = env.up(&["--name", "c", "--remote-port", "0", "--bind", "127.0.0.1", "--out", &out]);
    let mut sender = Sender::open(collector.port());
    sender.write("before anybody looked\n");
    env.wait_stored("c", 22);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.link);
    // The one stream there is is shown, and the token is gone from the address bar.
    browser.wait_line("before anybody looked");
    let address = browser.address();
    assert!(address.ends_with("/#s=c/main") && !address.contains("token"), "{address}");
    sender.write("while somebody looks\n");
    browser.wait_line("while somebody looks");
    browser.wait("its sender is counted", "document.body.innerText.includes('1 sender')");
    browser.wait("its lines are counted", "document.body.innerText.includes('2 lines')");
    browser.wait("it is up", "document.querySelector('nav').innerText.includes('up')");
    // The same view again, from the address alone.
    browser.open("about:blank");
    browser.open(&address);
    browser.wait_line("while somebody looks");
    assert_eq!(browser.texts(), ["before anybody looked", "while somebody looks"]);
    browser.assert_quiet();
    drop(sender);
    env.down("c");
}

#[test]
fn a_filter_marks_what_it_finds_and_says_where_it_cannot_be_read() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    send(collector.port(), "an apple\na pear\nAPPLE pie\ngrün apple ✔\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("a pear");
    browser.keys("/app.e");
    browser.wait("two lines are left", "texts().length === 2");
    assert_eq!(browser.texts(), ["an apple", "grün apple ✔"]);
    let marks = "[...document.querySelectorAll('[role=log] mark')].map((m) => m.textContent)";
    assert_eq!(browser.js(&format!("return {marks}")), json!(["apple", "apple"]));
    browser.press("case");
    browser.wait("three lines are left", "texts().length === 3");
    browser.press("invert");
    browser.wait("the other line is left", "texts().join() === 'a pear'");
    assert!(browser.address().ends_with("#s=c/main&e=app.e&i=1&v=1"), "{}", browser.address());
    // What comes is filtered, too.
    send(collector.port(), "a plum\nApples\n");
    browser.wait("only the other line comes", "texts().join() === 'a pear,a plum'");
    browser.press("invert");
    browser.wait("the filter is turned again", "texts().length === 4");
    browser.fill("filter", "app(le");
    let problem = browser.wait(
        "it says what is wrong",
        "document.querySelector('[role=alert]:not([hidden])')?.textContent.includes('unclosed group') && control('filter').getAttribute('aria-invalid')",
    );
    assert_eq!(problem, "true");
    // What was shown is still shown.
    assert_eq!(browser.texts().len(), 4);
    browser.fill("filter", "pear");
    browser.wait("a filter that can be read is tried", "texts().join() === 'a pear'");
    assert_eq!(browser.js("return document.querySelectorAll('[role=alert]:not([hidden])').length"), 0);
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn what_comes_while_one_has_paused_or_reads_elsewhere_waits_and_is_counted() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    send(collector.port(), lines("old", 0, 300));
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("old number 299.");
    browser.press("pause");
    send(collector.port(), lines("new", 0, 1234));
    browser.wait("it is counted", "document.body.innerText.includes('1,234 new lines')");
    assert!(!browser.texts().iter().any(|text| text.contains("new")), "nothing moved");
    browser.press("resume");
    browser.wait_line("new number 1233.");
    // One who scrolls up sees the same lines for as long as they like.
    browser.wheel(-2000);
    browser.wait("it says so", "document.querySelector('footer').innerText.includes('new lines wait')");
    let top = "return texts()[0] + rows()[0].getBoundingClientRect().top";
    // A wheel turns on for a while.
    let before = browser.still(top);
    send(collector.port(), lines("last", 0, 20));
    browser.wait("they are counted", "document.body.innerText.includes('20 new lines')");
    assert_eq!(browser.js(top), before);
    browser.keys("G");
    browser.wait_line("last number 19.");
    let gap = "const l = document.querySelector('[role=log]'); return l.scrollHeight - l.clientHeight - l.scrollTop";
    assert!(browser.js(gap).as_f64().unwrap() < 2.0, "the newest line stands at the bottom");
    // Nothing is doubled, nothing is missing.
    let all: Vec<_> = browser.loaded().lines().map(str::to_owned).collect();
    let wanted = lines("old", 0, 300) + &lines("new", 0, 1234) + &lines("last", 0, 20);
    let wanted: Vec<_> = wanted.lines().map(str::to_owned).collect();
    assert!(wanted.ends_with(&all) && all.len() >= 20, "{} lines", all.len());
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn several_streams_stand_in_one_view_and_come_and_go_without_a_reload() {
    require!("chromedriver");
    let env = Env::new();
    let first = env.listen(&["--name", "one", "--out", &env.arg("one.log")]);
    send(first.port(), "from one\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.link);
    browser.wait_line("from one");
    let second = env.listen(&["--name", "two", "--out", &env.arg("two.log")]);
    browser.press("add two/main");
    send(second.port(), "from two\n");
    browser.wait_line("from two");
    browser.wait_line("from one");
    send(first.port(), "from one again\n");
    browser.wait("in the order of their arrival, named", "texts().at(-1) === 'from one again'");
    let names = browser.js("return rows().map((r) => r.querySelector('.source').textContent)");
    assert_eq!(names, json!(["one/main", "two/main", "one/main"]));
    let colours =
        browser.js("return new Set(rows().map((r) => getComputedStyle(r.querySelector('.source')).color)).size");
    assert_eq!(colours, 2, "each has a colour of its own");
    assert!(browser.address().ends_with("#s=one/main&s=two/main"), "{}", browser.address());
    // One alone, and back.
    browser.press("show two/main");
    browser.wait("the other is gone", "texts().join() === 'from two'");
    browser.back();
    browser.wait("both are there", "texts().length === 3");
    env.down("two");
    browser.wait("a collector that is down vanishes", "!control('show two/main')");
    send(first.port(), "one goes on\n");
    browser.wait_line("one goes on");
    // It comes back, and so do its lines.
    let second = env.listen(&["--name", "two", "--out", &env.arg("two.log")]);
    browser.wait("it is there again", "Boolean(control('show two/main'))");
    send(second.port(), "two is back\n");
    browser.wait_line("two is back");
    let loaded = browser.loaded();
    let mut lines: Vec<_> = loaded.lines().collect();
    lines.sort_unstable();
    assert!(lines.is_sorted_by(|a, b| a < b), "a line is there twice:\n{loaded}");
    browser.assert_quiet();
    for name in ["one", "two"] {
        env.down(name);
    }
}

#[test]
fn favourites_the_last_view_and_the_size_of_letters_are_kept() {
    require!("chromedriver");
    let env = Env::new();
    for name in ["a", "b"] {
        let collector = env.listen(&["--name", name, "--out", &env.arg(name)]);
        send(collector.port(), format!("from {name}\n"));
    }
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=b/main"));
    browser.wait_line("from b");
    browser.press("favourite");
    browser.keys("+++w");
    let size = browser.js("return getComputedStyle(document.querySelector('#rows')).fontSize");
    assert_eq!(size, "16px");
    browser.open("about:blank");
    browser.open(&web.link);
    browser.wait_line("from b");
    assert_eq!(browser.js("return document.querySelector('nav .show').ariaLabel"), "show b/main", "favourites first");
    assert_eq!(browser.js("return control('wrap').ariaPressed"), "false");
    assert_eq!(browser.js("return getComputedStyle(document.querySelector('#rows')).fontSize"), "16px");
    browser.assert_quiet();
    for name in ["a", "b"] {
        env.down(name);
    }
}

#[test]
fn sender_and_time_have_columns_and_json_folds_out() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log"), "--format", "json"]);
    send(collector.port(), "{\"id\":12345678901234567890}\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("12345678901234567890");
    let columns = browser
        .js("return [rows()[0].querySelector('time')?.textContent, rows()[0].querySelector('.peer')?.textContent]");
    assert!(columns[0].as_str().is_some_and(|time| time.split(':').count() == 3), "{columns}");
    assert!(columns[1].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1")), "{columns}");
    browser.press("columns");
    browser.wait("they can be left out", "!rows()[0].querySelector('time')");
    browser.press("fold out");
    let folded = browser.wait("it is folded out", "rows()[0].querySelector('pre')?.textContent");
    assert!(folded.as_str().unwrap().lines().count() > 3, "{folded}");
    browser.assert_quiet();
    env.down("c");
    wait_until("it is down", common::SOON, || env.find("c").is_none().then_some(()));
}
