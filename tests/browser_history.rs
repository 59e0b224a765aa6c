//! The page goes back through file and archives: scrolling, times, search, links.

mod common;

use common::browser::{Browser, Web};
use common::{Env, LATER, send, wait_until};
use serde_json::json;

const WINDOW: (u32, u32) = (1280, 800);
/// Lines of each of the four files.
const EACH: usize = 1500;

/// Line `n`; lengths differ, and some wrap.
fn line(n: usize) -> String {
    format!("line {n:05}. {}\n", "lorem ipsum ".repeat(if n.is_multiple_of(17) { 30 } else { n % 4 }))
}

/// A collector `c` with three archives (gzip, zstd, plain) before its file.
fn archives(env: &Env) -> common::Collector {
    let mut from = 0;
    let mut bytes = 0;
    let ending = |end: &str| env.archives("c.log").iter().filter(|a| a.to_string_lossy().ends_with(end)).count();
    for (compress, end) in [("gzip", Some(".gz")), ("zstd", Some(".zst")), ("none", None)] {
        let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log"), "--compress", compress]);
        let lines: String = (from..from + EACH).map(line).collect();
        send(collector.port(), &lines);
        env.wait_stored("c", lines.len() as u64);
        assert_eq!(env.ask("c", "rotate")["event"], "rotated");
        // Whoever begins next would compress it in another way.
        if let Some(end) = end {
            wait_until("it is compressed", LATER, || (ending(end) == 1).then_some(()));
        }
        env.down("c");
        from += EACH;
        bytes += lines.len();
    }
    assert_eq!(env.archives("c.log").len(), 3);
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let lines: String = (from..from + EACH).map(line).collect();
    send(collector.port(), &lines);
    env.wait_stored("c", lines.len() as u64);
    assert!(bytes > lines.len());
    collector
}

/// The numbers of the lines that rows show.
const NUMBERS: &str = "texts().map((t) => Number(/line (\\d+)/.exec(t)?.[1]))";

#[test]
fn scrolling_up_goes_through_every_archive_to_the_first_line_and_nothing_jumps() {
    require!("chromedriver");
    let env = Env::new();
    archives(&env);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 05999.");
    let mut least = u64::MAX;
    wait_until("the first line is there", LATER * 2, || {
        browser.wheel(-1500);
        let numbers = browser.js(&format!("return {NUMBERS}"));
        let numbers: Vec<u64> = numbers.as_array().unwrap().iter().filter_map(serde_json::Value::as_u64).collect();
        // What is shown at any moment is a piece of the whole, without a hole and without a double.
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        assert!(numbers.len() < 500, "{} rows are in the document", numbers.len());
        let first = numbers.first().copied().unwrap_or(u64::MAX);
        assert!(first <= least, "it went the other way: {first} after {least}");
        least = first;
        (first == 0).then_some(())
    });
    browser.wait("it says that there is no more", "document.body.innerText.includes('the first line')");
    // Older lines in front move nothing that one looks at: the first key leads there, and further down again.
    browser.keys("G");
    browser.wait_line("line 05999.");
    browser.keys("g");
    browser.wait_line("line 00000.");
    let mut greatest = 0;
    wait_until("the newest line is there again", LATER * 2, || {
        browser.wheel(4000);
        let numbers = browser.js(&format!("return {NUMBERS}.filter(Number.isFinite)"));
        let numbers: Vec<u64> = numbers.as_array().unwrap().iter().filter_map(serde_json::Value::as_u64).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        greatest = greatest.max(numbers.last().copied().unwrap_or(0));
        (greatest == 5999).then_some(())
    });
    browser.wait("it is live again", "document.querySelector('footer').innerText.includes('live')");
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn older_lines_in_front_leave_what_one_looks_at_where_it_is() {
    require!("chromedriver");
    let env = Env::new();
    archives(&env);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 05999.");
    browser.wait("the first lines are there", "document.querySelector('footer').innerText.includes('500 lines')");
    // To the oldest line that is loaded; what follows loads more while one looks.
    let seen = browser.js_async(
        "const log = document.querySelector('[role=log]');\
         const edge = document.querySelector('#edge');\
         const loaded = () => Number(/([\\d,]+) lines loaded/.exec(document.querySelector('footer').innerText)[1].replace(',', ''));\
         const frame = () => new Promise((go) => requestAnimationFrame(go));\
         const at = () => rows().find((r) => r.getBoundingClientRect().bottom > log.getBoundingClientRect().top);\
         const before = loaded();\
         for (let i = 0; i < 400 && !edge.textContent; i += 1) {\
           log.scrollTop -= 300;\
           await new Promise((go) => log.addEventListener('scroll', go, { once: true }));\
         }\
         const asked = edge.textContent;\
         const row = at();\
         const text = row.innerText;\
         const top = row.getBoundingClientRect().top;\
         const moved = [];\
         const note = () => moved.push(row.isConnected ? Math.abs(row.getBoundingClientRect().top - top) : 9999);\
         for (let i = 0; i < 600 && edge.textContent; i += 1) { await frame(); note(); }\
         for (let i = 0; i < 90; i += 1) { await frame(); note(); }\
         return [asked.startsWith('loading'), Math.max(...moved), text === row.innerText, loaded() > before];",
    );
    assert_eq!(seen[3], true, "more was loaded");
    assert_eq!(seen[0], true, "it was asked for while one looks");
    assert!(seen[1].as_f64().unwrap() < 1.5, "moved by {} pixels", seen[1]);
    assert_eq!(seen[2], true, "the same line stands there");
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn a_search_of_everything_counts_shows_context_and_opens_a_hit_in_its_place() {
    require!("chromedriver");
    let env = Env::new();
    archives(&env);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 05999.");
    browser.press("search");
    browser.js("document.querySelector('#finder-context').value = 1");
    browser.fill("search for", "line 0[024]50[05]\\.\u{e007}");
    browser.wait("it is counted", "document.querySelector('#finder').innerText.includes('6 hits')");
    browser.wait("it has an end", "document.querySelector('#finder').innerText.includes('everything is searched')");
    browser.wait("the hits are listed", "document.querySelectorAll('#finder li.hit').length === 6");
    let context = browser.js("return document.querySelectorAll('#finder li.context').length");
    assert_eq!(context, 12, "a line before and one after each");
    assert_eq!(browser.js("return document.querySelector('#finder mark').textContent"), "line 00500.");
    browser.js("document.querySelectorAll('#finder li.hit a')[2].click()");
    browser.wait(
        "the hit is shown among its neighbours",
        "document.querySelector('.row.target')?.innerText.includes('line 02500.')",
    );
    browser.wait_line("line 02499.");
    browser.wait_line("line 02501.");
    // The next one, by keyboard.
    browser.js("document.querySelector('[role=log]').focus()");
    browser.keys("n");
    browser.wait("the first hit is shown", "document.querySelector('.row.target')?.innerText.includes('line 00500.')");
    browser.keys("nN");
    browser.wait("and again", "document.querySelector('.row.target')?.innerText.includes('line 00500.')");
    // A pattern that cannot be read is told of there.
    browser.fill("search for", "(\u{e007}");
    browser
        .wait("it says what is wrong", "document.querySelector('#finder-error:not([hidden])')?.textContent.length > 5");
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn a_link_to_a_line_opens_it_also_after_it_was_put_away_and_compressed() {
    require!("chromedriver");
    let env = Env::new();
    let collector = archives(&env);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 05999.");
    let link = browser.js("return rows().find((r) => r.innerText.includes('line 05990.')).querySelector('a').href");
    let link = link.as_str().unwrap().to_owned();
    assert!(link.contains("#s=c/main&at="), "{link}");
    assert_eq!(env.ask("c", "rotate")["event"], "rotated");
    let more: String = (4 * EACH..5 * EACH).map(line).collect();
    send(collector.port(), &more[..line(0).len()]);
    // With the first line of the new file.
    browser.wait("the rotation is told", "document.querySelector('[role=log]').innerText.includes('put away')");
    send(collector.port(), &more[line(0).len()..]);
    browser.wait_line("line 07499.");
    browser.open("about:blank");
    browser.open(&link);
    browser.wait("it is that line", "document.querySelector('.row.target')?.innerText.includes('line 05990.')");
    browser.wait_line("line 05989.");
    browser.wait_line("line 05991.");
    // Back and forward go through what one looked at.
    browser.keys("G");
    browser.wait_line("line 07499.");
    browser.back();
    browser.wait("it is that line again", "document.querySelector('.row.target')?.innerText.includes('line 05990.')");
    browser.assert_quiet();
    env.down("c");
}

#[test]
fn a_time_leads_to_the_first_line_at_or_after_it() {
    require!("chromedriver");
    let env = Env::new();
    // As a collector would have written them, a minute apart; the page has the clock of this machine.
    let line = |n| format!("2026-03-{:02}T{:02}:{:02}:00.000000Z line {n:05}.\n", 1 + n / 1440, n / 60 % 24, n % 60);
    let lines: String = (0..3000).map(line).collect();
    let path = env.write("c.log", &lines);
    let collector =
        env.listen(&["--name", "c", "--out", &env.arg("c.log"), "--format", "prefix", "--prefix", "{time} "]);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 02999.");
    let local = browser.js("const t = new Date('2026-03-01T12:30:00Z');\
         return new Date(t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 19)");
    browser.press("go to time");
    browser.js(&format!("document.querySelector('#moment-time').value = {local}"));
    browser.press("go");
    browser.wait("it is that line", "document.querySelector('.row.target')?.innerText.includes('line 00750.')");
    browser.assert_quiet();
    send(collector.port(), "x\n");
    assert!(path.exists());
    env.down("c");
}

#[test]
fn what_is_downloaded_is_what_is_on_disk() {
    require!("chromedriver");
    let env = Env::new();
    archives(&env);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 05999.");
    let all: String = (0..4 * EACH).map(line).collect();
    let got = browser.js_async("return await (await fetch(control('download').href)).text()");
    assert!(got == json!(all), "{} bytes where {} were due", got.as_str().unwrap().len(), all.len());
    browser.assert_quiet();
    env.down("c");
}
