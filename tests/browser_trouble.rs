//! What may go wrong between page and collector, and what strangers send to whoever looks.

mod common;

use common::browser::{Browser, Web};
use common::{Env, LATER, Sender, free_port, send, wait_until};
use serde_json::json;

const WINDOW: (u32, u32) = (1280, 800);

#[test]
fn a_page_goes_on_where_it_stopped_when_the_server_was_killed_and_no_line_is_missing_or_doubled() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let line = |n| format!("line {n:04}\n");
    let lines = |from: usize, to: usize| -> String { (from..to).map(line).collect() };
    let mut sender = Sender::open(collector.port());
    sender.write(lines(0, 100));
    env.wait_stored("c", 1000);
    let port = free_port();
    let web = Web::at(&env, port, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 0099");
    sender.write(lines(100, 400));
    browser.wait_line("line 0399");
    web.kill();
    browser.wait("the page says so", "document.querySelector('footer').innerText.includes('lost')");
    sender.write(lines(400, 450));
    env.wait_stored("c", 4500);
    let _web = Web::at(&env, port, &[]);
    browser.wait_line("line 0449");
    sender.write(lines(450, 460));
    browser.wait_line("line 0459");
    browser.wait(
        "it says that it was away",
        "document.querySelector('[role=log]').innerText.includes('nothing is missing')",
    );
    assert_eq!(browser.loaded(), lines(0, 460));
    drop(sender);
    env.down("c");
}

#[test]
fn a_hidden_page_holds_no_connection_and_has_every_line_when_it_is_looked_at_again() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let mut sender = Sender::open(collector.port());
    sender.write("one\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("one");
    // As the browser tells a page that another tab is in front of it.
    let turn = |hidden: bool| {
        browser.js(&format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});\
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
    };
    turn(true);
    sender.write("two\n");
    env.wait_stored("c", 8);
    // Its place is taken by others: a question of its own is answered, and nothing came meanwhile.
    let told = browser.js_async("const n = texts().length; await fetch('api/streams'); return [n, texts().length]");
    assert_eq!(told, json!([1, 1]));
    turn(false);
    browser.wait_line("two");
    sender.write("three\n");
    browser.wait_line("three");
    assert_eq!(browser.loaded(), "one\ntwo\nthree\n");
    // Whoever came by a link to a line is not led there again, and has nothing twice.
    browser.open("about:blank");
    browser.open(&web.view("s=c/main&at=4"));
    browser.wait_line("three");
    sender.write("four\n");
    let heard = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/lines')).length";
    browser.wait("it has come", "document.body.innerText.match(/\\b1 new|four/)");
    let asked = browser.js(&format!("return {heard}"));
    turn(true);
    turn(false);
    sender.write("five\n");
    browser.wait("it has come", "document.body.innerText.match(/\\b2 new|five/)");
    assert_eq!(browser.js(&format!("return {heard}")), asked, "the place is not opened again");
    let loaded = browser.loaded();
    assert!("one\ntwo\nthree\nfour\nfive\n".starts_with(&loaded), "{loaded}");
    browser.assert_quiet();
    drop(sender);
    env.down("c");
}

/// Lines that want to be more than text.
fn hostile() -> Vec<u8> {
    let mut all = Vec::new();
    for line in [
        &b"<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"[..],
        b"javascript:alert(4) <a href=\"javascript:alert(5)\">click</a> &lt;b&gt;",
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\ \x1b[2J \x1bP$q\x1b\\",
        "bidi \u{202e}gnp.exe\u{202c} \u{2066}x\u{2069} \u{2028}line".as_bytes(),
        b"nul \0 bell \x07 back \x08 del \x7f",
        b"bytes \xff\xfe \xc3( \xed\xa0\x80 end",
        b"{\"a\":\"</script><script>alert(6)</script>\",\"__proto__\":{\"x\":1}}",
    ] {
        all.extend_from_slice(line);
        all.push(b'\n');
    }
    all
}

#[test]
fn whatever_strangers_send_is_text_and_nothing_else() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log"), "--max-line", "2MiB"]);
    send(collector.port(), hostile());
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("</script>");
    // Live, too, and a line of a mebibyte.
    let mut long = b"long ".to_vec();
    long.resize(1 << 20, b'y');
    long.push(b'\n');
    send(collector.port(), long);
    send(collector.port(), hostile());
    send(collector.port(), "the last one\n");
    browser.wait_line("the last one");
    for (part, what) in [
        ("<img src=x onerror=alert(2)>", "an element"),
        ("\\x1b]0;title\\x07", "a title"),
        ("\\u{202e}gnp.exe", "a turned reading order"),
        ("nul \\x00 bell \\x07", "control characters"),
        ("bytes \\xff\\xfe \\xc3( \\xed\\xa0\\x80 end", "bytes that are no text"),
    ] {
        let texts = browser.texts();
        assert_eq!(texts.iter().filter(|text| text.contains(part)).count(), 2, "{what}: {texts:?}");
    }
    let red = browser
        .js("const s = [...document.querySelectorAll('.text span')].find((e) => e.textContent === 'red');\
         return s && getComputedStyle(s).color");
    assert!(red.is_string(), "colours are drawn");
    let long =
        browser.wait("the long line says how long it is", "texts().find((t) => t.startsWith('long y'))?.slice(-40)");
    assert!(long.as_str().unwrap().contains("1.0 MiB"), "{long}");
    for fold in 0..2 {
        browser.js(&format!("document.querySelectorAll('.fold')[{fold}].click()"));
    }
    // No element, no link, no title that a stranger made.
    let made = browser.js(
        "return [document.querySelectorAll('#rows script, #rows img, #rows svg, #rows b').length,\
         [...document.querySelectorAll('#rows a')].filter((a) => !a.href.startsWith(location.origin)).length, document.title]",
    );
    assert_eq!(made, json!([0, 0, "c/main · reclog"]));
    // Where hits are listed, too.
    browser.press("search");
    browser.fill("search for", ".\u{e007}");
    browser.wait("all are found", "document.querySelector('#finder').innerText.includes('16 hits')");
    browser.wait("they are listed", "document.querySelectorAll('#finder li.hit').length === 16");
    assert_eq!(browser.js("return document.querySelectorAll('#finder-hits script, #finder-hits img').length"), 0);
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn names_of_streams_that_want_to_be_markup_are_text_too() {
    require!("chromedriver");
    let env = Env::new();
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    let name = "<img src=x onerror=alert(1)>/<b>";
    browser.open(&web.view(&format!("s={}&e=%3Cscript%3E", name.replace('<', "%3C").replace(' ', "%20"))));
    browser.wait("it says that there is none", "document.querySelector('footer').innerText.includes('not there now')");
    assert_eq!(browser.js("return document.querySelectorAll('img, footer b').length"), 0);
    browser.assert_quiet();
}

#[test]
fn a_file_that_is_cut_or_deleted_by_somebody_else_is_told_of() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let mut sender = Sender::open(collector.port());
    sender.write("first\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("first");
    std::fs::File::options().write(true).open(env.path("c.log")).unwrap().set_len(0).unwrap();
    browser.wait("that it was cut", "document.querySelector('[role=log]').innerText.includes('made shorter')");
    sender.write("second\n");
    browser.wait_line("second");
    std::fs::remove_file(env.path("c.log")).unwrap();
    browser.wait("that it was deleted", "document.querySelector('[role=log]').innerText.includes('deleted')");
    sender.write("third\n");
    browser.wait_line("third");
    assert_eq!(browser.loaded(), "first\nsecond\nthird\n");
    browser.assert_quiet();
    drop(sender);
    env.down("c");
}

/// The numbers of the lines that are in sight, and how many gaps.
const IN_SIGHT: &str = "(() => { const box = document.querySelector('[role=log]').getBoundingClientRect();
const seen = rows().filter((r) => r.getBoundingClientRect().bottom > box.top + 1 && r.getBoundingClientRect().top < box.bottom - 1);
return seen.map((r) => Number(/line (\\d+) /.exec(r.innerText)?.[1] ?? -1)); })()";

#[test]
fn lines_that_were_skipped_are_loaded_where_they_are_missing_and_each_is_there_once() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    // More of them than the server keeps, and less text than the page keeps: what comes after the gap does not push it out.
    let line = |n: usize| format!("line {n:05} {}\n", "€".repeat(330));
    let lines = |from: usize, to: usize| -> String { (from..to).map(line).collect() };
    let mut sender = Sender::open(collector.port());
    sender.write(lines(0, 50));
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.press("wrap");
    browser.wait_line("line 00049 ");
    let all = 60_000;
    browser.frozen(|| {
        for from in (50..all).step_by(5_000) {
            sender.write(lines(from, (from + 5_000).min(all)));
        }
        env.wait_stored("c", (all * 1002) as u64);
    });
    // What comes before it is told that lines are missing may be among them.
    browser.wait("that lines are missing", "document.querySelector('.gap')");
    // More than the window holds.
    sender.write(lines(all, all + 100));
    browser.wait_line(&format!("line {:05} ", all + 99));
    // Whoever looks for the gap finds it, and the lines in its place.
    browser.js("document.querySelector('[role=log]').focus()");
    wait_until("the gap is in sight", LATER, || {
        browser.wheel(-60);
        let gap = "return [...document.querySelectorAll('.gap')].some((g) => { const r = g.getBoundingClientRect();\
            return r.top > 60 && r.bottom < innerHeight - 60; })";
        (browser.js(gap) == json!(true)).then_some(())
    });
    let told = browser.js("return document.querySelector('.gap').innerText");
    let told = told.as_str().unwrap();
    assert!(told.contains("lines skipped: load them"), "{told}");
    let skipped: usize = told.split(' ').next().unwrap().replace(',', "").parse().unwrap();
    let before = browser.js("return rows().map((r) => r.classList.contains('gap') ? 'gap' : r.innerText)");
    let before: Vec<String> = serde_json::from_value(before).unwrap();
    let at = before.iter().position(|text| text == "gap").unwrap();
    let number = |text: &str| -> usize { text.split("line ").nth(1).unwrap()[..5].parse().unwrap() };
    let (last, next) = (number(&before[at - 1]), number(&before[at + 1]));
    assert_eq!(skipped, next - last - 1);
    browser.js("document.querySelector('.gap button').click()");
    let first = json!(last + 1);
    browser.wait("the first of them is in sight", &format!("{IN_SIGHT}.includes({first})"));
    let seen = browser.still(&format!("return {IN_SIGHT}"));
    let seen: Vec<i64> = serde_json::from_value(seen).unwrap();
    assert!(seen.windows(2).all(|two| two[1] == two[0] + 1), "{seen:?}");
    assert!(seen.contains(&i64::try_from(last + 1).unwrap()), "{seen:?}");
    drop(sender);
    env.down("c");
}
