use std::net::TcpListener as Listener;

use super::*;
use crate::plan::SshPlan;

/// How to reach this host, with nothing of the machine's own configuration.
fn settings(host: &str, port: u16, options: &[(&str, &str)]) -> Settings {
    Settings::resolve(&SshPlan {
        host: host.into(),
        port: Some(port),
        config_file: Some("none".into()),
        options: options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..SshPlan::default()
    })
    .unwrap()
}

fn listener() -> (Listener, u16) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_name_that_is_not_found_at_the_moment_is_where_it_was() {
    let (_listener, port) = listener();
    let (memory, nowhere) = (Memory::default(), settings("nowhere.invalid", port, &[]));
    let error = dial(&nowhere, &memory).await.unwrap_err();
    assert!(error.message.contains("cannot find the host nowhere.invalid"), "{error}");
    memory.left.lock().addresses = vec![([127, 0, 0, 1], port).into()];
    let stream = dial(&nowhere, &memory).await.unwrap();
    assert_eq!(stream.stream.peer_addr().unwrap().port(), port);
}

#[tokio::test]
async fn what_answered_the_knock_is_the_next_connection() {
    let (first, port) = listener();
    drop(first);
    let (memory, settings) = (Memory::default(), settings("127.0.0.1", port, &[]));
    assert!(dial(&settings, &memory).await.is_err());
    let knocking = knock(&settings, &memory);
    tokio::pin!(knocking);
    let refused = timeout(FRESH * 2, &mut knocking).await;
    assert!(refused.is_err(), "a refusal is an answer, but no reason to come in");
    let listener = Listener::bind(("127.0.0.1", port)).unwrap();
    timeout(FRESH * 5, knocking).await.expect("somebody answers now");
    let ours = memory.left.lock().stream.as_ref().unwrap().stream.local_addr().unwrap();
    assert_eq!(listener.accept().unwrap().1, ours);
    assert_eq!(dial(&settings, &memory).await.unwrap().stream.local_addr().unwrap(), ours);
    assert!(memory.left.lock().stream.is_none(), "it is used once");
}

#[tokio::test]
async fn nobody_knocks_behind_a_program() {
    let (_listener, port) = listener();
    let settings = settings("127.0.0.1", port, &[("ProxyCommand", "nc %h %p")]);
    let memory = Memory::default();
    assert!(timeout(FRESH, knock(&settings, &memory)).await.is_err());
}
