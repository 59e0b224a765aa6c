use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::ssh::QuestionKind;

fn question(text: &str) -> Question {
    Question { text: text.into(), kind: QuestionKind::Secret }
}

fn text(text: &str) -> Answer {
    Answer::Text(Zeroizing::new(text.into()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // An answer that never comes is a failure, not a test that never ends.
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.expect("an end") })
}

/// Every line of `bytes`, read through a pipe that holds no more than `hold` bytes.
fn lines(bytes: &[u8], hold: usize, longest: usize) -> Vec<Vec<u8>> {
    block_on(async {
        let (mut there, here) = tokio::io::duplex(hold);
        let write = async move {
            there.write_all(bytes).await.unwrap();
        };
        let read = async move {
            let (mut lines, mut all) = (Lines::new(here), Vec::new());
            while let Some(line) = lines.next(longest).await.unwrap() {
                assert!(lines.buffer.capacity() <= 2 * (longest + 8192), "the buffer is bounded");
                all.push(line.to_vec());
            }
            all
        };
        tokio::join!(write, read).1
    })
}

#[test]
fn words_are_told_from_events_and_no_event_is_a_question() {
    let ask = Word::Talk(Talk::Ask { id: 3, question: question("Password: ") });
    let line = serde_json::to_string(&ask).unwrap();
    assert_eq!(serde_json::from_str::<Word>(&line).unwrap(), ask);
    assert!(serde_json::from_str::<Event>(&line).is_err(), "a question is no event");
    let event = Word::Event(Event::Step { phase: crate::ssh::Phase::Banner, target: "u@h:22".into() });
    assert_eq!(serde_json::from_str::<Word>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
}

#[test]
fn an_answer_reaches_its_question_and_no_other() {
    block_on(async {
        let said = Arc::new(Mutex::new(Vec::new()));
        let starter = {
            let said = Arc::clone(&said);
            Starter::new(move |word| said.lock().unwrap().push(serde_json::to_string(word).unwrap()))
        };
        let (mut there, here) = tokio::io::duplex(64);
        let talk = async {
            // An answer to a question that nobody asked yet is no answer to the first that is asked.
            there.write_all(&encode(1, &text("early"))).await.unwrap();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let answer = async {
                there
                    .write_all(b"garbage\n{}\n{\"answer\":1,\"hex\":\"zz\"}\n{\"answer\":1,\"hex\":\"f\"}\n")
                    .await
                    .unwrap();
                there.write_all(&vec![b'x'; 300_000]).await.unwrap();
                there.write_all(b"\n").await.unwrap();
                there.write_all(&encode(2, &text("another's"))).await.unwrap();
                there.write_all(&encode(1, &text("grün \n\"\\"))).await.unwrap();
            };
            let (first, ()) = tokio::join!(starter.ask(question("a")), answer);
            assert!(first == text("grün \n\"\\"));
            let (second, ()) = tokio::join!(starter.ask(question("b")), async {
                there.write_all(&encode(2, &Answer::Declined)).await.unwrap();
            });
            assert!(second == Answer::Declined);
            // The pipe ends while a question is open, and before one.
            let (third, ()) = tokio::join!(starter.ask(question("c")), async { drop(there) });
            assert!(third == Answer::Nobody);
            assert!(starter.ask(question("d")).await == Answer::Nobody);
        };
        tokio::join!(starter.listen(Lines::new(here)), talk);
        assert_eq!(said.lock().unwrap().len(), 3, "nobody is asked when nobody is there");
    });
}

proptest! {
    #[test]
    fn answers_come_back_as_they_were_and_stand_on_one_line(
        id: u64, typed in prop::option::of(prop::collection::vec(any::<char>(), 0..50)), nobody: bool) {
        let answer = match typed {
            Some(typed) => text(&typed.into_iter().collect::<String>()),
            None if nobody => Answer::Nobody,
            None => Answer::Declined,
        };
        let line = encode(id, &answer);
        prop_assert!(line.ends_with(b"\n") && !line[..line.len() - 1].contains(&b'\n'));
        let (back, again) = decode(&line[..line.len() - 1]).unwrap();
        prop_assert!(back == id && again == answer);
    }

    #[test]
    fn no_line_is_an_accident(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = serde_json::from_slice::<Word>(&bytes);
    }

    #[test]
    fn what_looks_like_an_answer_is_no_accident(hex in "[0-9a-g]{0,20}", id in "-?[0-9]{1,21}", more in ".{0,10}") {
        let _ = decode(format!("{{\"answer\":{id},\"hex\":\"{hex}\"{more}}}").as_bytes());
    }

    #[test]
    fn lines_are_cut_where_they_end_and_long_ones_left_out(
        parts in prop::collection::vec(prop_oneof![
            8 => prop::collection::vec(any::<u8>().prop_filter("no end", |b| *b != b'\n'), 0..60),
            1 => (50usize..9000).prop_map(|n| vec![b'x'; n])], 0..20),
        rest in "[a-z]{0,5}", hold in 1usize..3000) {
        let all: Vec<u8> = parts.iter().flat_map(|p| p.iter().copied().chain([b'\n'])).chain(rest.bytes()).collect();
        let wanted: Vec<Vec<u8>> = parts.into_iter().filter(|p| p.len() <= 50).collect();
        prop_assert_eq!(lines(&all, hold, 50), wanted);
    }
}
