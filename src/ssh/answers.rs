//! Answers to senders of a forward, written on their channels: by a task each, for the handler may not wait for the loop
//! that it is a part of.

use tokio::time::timeout;

use super::brake::Voice;
use crate::intake::{LINGER, Mouth};

/// Writes what `mouth` says until nothing will follow, then the end of our stream.
pub async fn speak(mut mouth: Mouth, channel: Voice) {
    let patience = mouth.patience();
    tokio::select! {
        () = talk(&mut mouth, &channel) => {}
        () = patience => {}
    }
    if mouth.has_left() {
        // It may not listen before it has something to send: the server closes it, and says so with its own CLOSE.
        let _ = timeout(LINGER, channel.close()).await;
    } else if !mouth.is_deaf() {
        // EOF and not CLOSE, as for senders that are not answered.
        let _ = timeout(LINGER, channel.eof()).await;
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
