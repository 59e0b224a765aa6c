//! How the page looks and feels: for keyboards, screen readers, phones, both themes; how one logs in; its weight.

mod common;

use common::axe::{assert_accessible, axe};
use common::browser::{Browser, Web};
use common::{Env, lacks, send};
use std::path::Path;

const WINDOW: (u32, u32) = (1280, 800);
/// A phone, and half of a window: 200 % zoom.
const NARROW: [(u32, u32); 2] = [(360, 740), (640, 400)];

/// Lines of everything that is drawn: colours, matches, escapes, JSON.
fn lively(port: u16) {
    let mut all = String::new();
    for n in 0..40 {
        all += &format!(
            "\u{1b}[3{}mcolour {n}\u{1b}[0m \u{1b}[4{};1mbackground\u{1b}[0m \u{1b}[38;5;{}mmany\u{1b}[0m\n",
            n % 8,
            n % 8,
            n * 6
        );
        all += &format!("{{\"level\":\"info\",\"n\":{n},\"nested\":{{\"a\":[1,null,true]}}}}\n");
        all += "an escape \u{7} and a word to match\n";
    }
    send(port, all);
}

#[test]
fn axe_finds_nothing_to_blame_in_either_theme_nor_in_any_dialog() {
    require!("chromedriver");
    let Some(axe) = axe() else { return lacks("axe_finds_nothing", "axe-core below target/tools", "npm") };
    let env = Env::new();
    let first = env.listen(&["--name", "one", "--out", &env.arg("one.log"), "--format", "json"]);
    let second = env.listen(&["--name", "two", "--out", &env.arg("two.log")]);
    lively(first.port());
    lively(second.port());
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    for theme in ["light", "dark"] {
        browser.scheme(theme);
        browser.open("about:blank");
        browser.open(&web.view("s=two/main&s=one/main"));
        browser.wait_line("a word to match");
        browser.press("favourite");
        assert_accessible(&browser, &axe, &format!("{theme}: the page"));
        browser.fill("filter", "wo.d|colour|info|(");
        browser.wait("the filter cannot be read", "!document.querySelector('#filter-error').hidden");
        assert_accessible(&browser, &axe, &format!("{theme}: a bad filter"));
        browser.fill("filter", "wo.d|colour|info");
        browser.wait("matches are marked", "document.querySelectorAll('[role=log] mark').length > 3");
        browser.js("document.querySelector('.fold').click()");
        assert_accessible(&browser, &axe, &format!("{theme}: matches"));
        browser.press("search");
        browser.wait("there are hits", "document.querySelectorAll('#finder li.hit').length > 10");
        assert_accessible(&browser, &axe, &format!("{theme}: the search"));
        browser.press("close the search");
        browser.keys("?");
        browser.wait("the keys are shown", "document.querySelector('#keys').open");
        assert_accessible(&browser, &axe, &format!("{theme}: the keys"));
        browser.keys("\u{e00c}t");
        browser.wait("a time is asked for", "document.querySelector('#moment').open");
        assert_accessible(&browser, &axe, &format!("{theme}: the time"));
        browser.keys("\u{e00c}");
        browser.press("download");
        browser.wait("there are two files", "document.querySelectorAll('#files a').length === 2");
        assert_accessible(&browser, &axe, &format!("{theme}: the files"));
        browser.keys("\u{e00c}");
    }
    browser.assert_quiet();
    for name in ["one", "two"] {
        env.down(name);
    }
}

#[test]
fn a_phone_and_a_window_at_200_percent_show_everything_without_scrolling_sideways() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    lively(collector.port());
    let web = Web::start(&env, &[]);
    for size in NARROW {
        let browser = Browser::start(&env, size, &[]);
        browser.open(&web.view("s=c/main"));
        browser.wait_line("a word to match");
        let wide = browser.js("return [document.documentElement.scrollWidth, innerWidth, document.querySelector('[role=log]').clientHeight]");
        assert_eq!(wide[0], wide[1], "{size:?}");
        assert!(wide[2].as_u64().unwrap() > 150, "{size:?}: room for lines: {wide}");
        browser.press("streams");
        browser.wait("the streams are shown", "Boolean(control('show c/main'))");
        browser.press("show c/main");
        browser.wait("and make room again", "!control('show c/main')");
        if let Some(axe) = axe() {
            assert_accessible(&browser, &axe, &format!("{size:?}"));
        }
        browser.assert_quiet();
    }
    env.down("c");
}

#[test]
fn every_key_of_the_help_does_what_it_says() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let line = |n| format!("line {n:03} {}\n", if n % 50 == 0 { "special" } else { "" });
    send(collector.port(), (0..800).map(line).collect::<String>());
    let other = env.listen(&["--name", "d", "--out", &env.arg("d.log")]);
    send(other.port(), "{\"other\":true}\n");
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("line 799");
    let focused = "(document.activeElement.matches('.row') ? document.activeElement.innerText : '')";
    browser.keys("k");
    browser.wait("the newest line is the current one", &format!("{focused}.includes('line 799')"));
    browser.keys("kk");
    browser.wait("two lines up", &format!("{focused}.includes('line 797')"));
    browser.keys("j");
    browser.wait("one down", &format!("{focused}.includes('line 798')"));
    browser.keys("y");
    browser.wait("its link is copied", "document.querySelector('footer').innerText.includes('link is copied')");
    browser.keys("g");
    browser.wait_line("line 000");
    browser.keys("G");
    browser.wait_line("line 799");
    browser.keys("w");
    browser.wait("no wrapping", "control('wrap').ariaPressed === 'false'");
    browser.keys("w");
    browser.keys(" ");
    browser.wait("paused", "Boolean(control('resume'))");
    browser.keys(" ");
    browser.wait("resumed", "Boolean(control('pause'))");
    browser.keys("f");
    browser.wait("a favourite", "control('favourite').ariaPressed === 'true'");
    browser.keys("/special\u{e007}\u{e00c}");
    browser.wait("filtered", "texts().length === 16");
    browser.keys("G");
    browser.keys("NN");
    browser.wait("the hit before", &format!("{focused}.includes('special')"));
    browser.keys("s");
    browser.wait("the search has the focus", "document.activeElement.ariaLabel === 'search for'");
    browser.keys("\u{e00c}");
    browser.keys("\u{e00c}");
    browser.wait("it is closed", "document.querySelector('#finder').hidden");
    browser.keys("?");
    browser
        .wait("the help", "document.querySelector('#keys').open && document.querySelectorAll('#keys dt').length > 15");
    browser.keys("\u{e00c}");
    browser.wait("it is closed", "!document.querySelector('#keys').open");
    browser.keys("/\u{e017}");
    browser.fill("filter", "\u{e003}\u{e00c}");
    browser.keys("]");
    browser.wait("the next stream", "location.hash.includes('s=d/main')");
    browser.assert_quiet();
    for name in ["c", "d"] {
        env.down(name);
    }
}

#[test]
fn the_page_weighs_little_and_comes_from_nowhere_else() {
    require!("chromedriver");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    lively(collector.port());
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.open(&web.view("s=c/main"));
    browser.wait_line("a word to match");
    let loaded = browser.js(
        "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];\
         const page = all.filter((e) => !e.name.includes('/api/'));\
         return [page.length, page.reduce((sum, e) => sum + e.decodedBodySize, 0), all.filter((e) => !e.name.startsWith(location.origin)).length]",
    );
    let (files, bytes) = (loaded[0].as_u64().unwrap(), loaded[1].as_u64().unwrap());
    assert!(files > 10 && bytes > 10_000 && bytes < 150_000, "{files} files of {bytes} bytes");
    assert_eq!(loaded[2], 0, "from somewhere else");
    browser.assert_quiet();
    env.down("c");
}

/// The page with something to look at; kept as docs/web.png when `RECLOG_SCREENSHOT` is set.
#[test]
fn the_picture_in_the_readme_is_the_page() {
    require!("chromedriver");
    let env = Env::new();
    let front = env.listen(&["--name", "tremplin", "--out", &env.arg("t.log"), "--format", "prefix"]);
    let shop = env.listen(&["--name", "shop", "--out", &env.arg("s.log"), "--format", "prefix"]);
    let web = Web::start(&env, &[]);
    let browser = Browser::start(&env, WINDOW, &[]);
    browser.scheme("dark");
    browser.open(&web.view("s=tremplin/main&s=shop/main&e=items/8%5B0-9%5D%2B%7Cwarn%7CGET"));
    browser.wait("both are chosen", "document.querySelectorAll('nav :checked').length === 2");
    let (mut one, mut two) = (common::Sender::open(front.port()), common::Sender::open(shop.port()));
    for n in 0..60 {
        let status = [200, 200, 404, 201, 403, 200][n % 6];
        one.write(format!(
            "\u{1b}[36mGET\u{1b}[0m /v1/items/{} \u{1b}[3{}m{status}\u{1b}[0m {} ms\n",
            7000 + n * 37,
            if status < 300 { 2 } else { 3 },
            3 + n * 7 % 40
        ));
        if n % 5 == 0 {
            two.write(format!(
                "{{\"level\":\"warn\",\"order\":{},\"reason\":\"card declined\",\"try\":{}}}\n",
                88_120 + n,
                n % 3
            ));
        }
        let seen = format!("texts().length >= {}", (n + 1) / 3);
        browser.wait("they are shown", &seen);
    }
    browser.wait("the last one is shown", "texts().some((t) => t.includes('88175'))");
    let picture = browser.picture();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{} bytes", picture.len());
    let size = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), WINDOW);
    if std::env::var_os("RECLOG_SCREENSHOT").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/web.png"), picture).unwrap();
    }
    browser.assert_quiet();
    drop((one, two));
    for name in ["tremplin", "shop"] {
        env.down(name);
    }
}
