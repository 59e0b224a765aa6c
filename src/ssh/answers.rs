//! Answers to senders of a forward, written on their channels: by a task each, for the handler may not wait for the loop
//! that it is a part of.

use tokio::time::timeout;

use super::brake::Voice;
use crate::intake::{LINGER, Mouth};

/// Writes what `mouth` says until nothing will follow, then the end of our stream. A sender that does not end then, either,
/// is closed.
pub async fn speak(mut mouth: Mouth, channel: Voice) {
    let patience = mouth.patience();
    tokio::select! {
        () = talk(&mut mouth, &channel) => {}
        () = patience => {}
    }
    if mouth.is_deaf() {
        return;
    }
    // EOF first: the server answers the end of the sender with its CLOSE, and only that makes the library forget the channel.
    let _ = timeout(LINGER, channel.eof()).await;
    if timeout(LINGER, mouth.left()).await.is_err() {
        let _ = channel.close().await;
    }
}

async fn talk(mouth: &mut Mouth, channel: &Voice) {
    while let Some(bytes) = mouth.next().await {
        // Waits for the window of the channel, and fails when that is gone.
        if channel.data_bytes(bytes.to_vec()).await.is_err() {
            return;
        }
    }
}
