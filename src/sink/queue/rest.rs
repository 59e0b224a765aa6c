//! What is left when a queue is given up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::sink::Batch;

/// The name of what no file was named for. There is none.
const NOWHERE: &str = "rest";

/// What a writer has left.
#[derive(Debug, Default)]
pub struct Rest {
    /// The batch that it has, and how many bytes of it are written for certain.
    pub flight: Option<(Arc<Batch>, usize)>,
    /// What it has never seen.
    pub queued: Batch,
}

impl Rest {
    /// Records of which not everything is written for certain. `lines` as in [`Batch::records_after`].
    pub fn records(&self, lines: bool) -> u64 {
        let flight = self.flight.as_ref().map_or(0, |(batch, written)| batch.records_after(*written, lines));
        flight + self.queued.records_after(0, lines)
    }

    /// The bytes.
    pub fn parts(&self) -> [&[u8]; 2] {
        [self.flight.as_ref().map_or(&[][..], |(batch, written)| &batch.bytes()[*written..]), self.queued.bytes()]
    }

    /// The bytes of each file, where there are many.
    pub fn by_file(&self) -> BTreeMap<&Path, Vec<&[u8]>> {
        let mut all: BTreeMap<&Path, Vec<&[u8]>> = BTreeMap::new();
        let flight = self.flight.iter().map(|(batch, written)| (&**batch, *written));
        for (batch, mut at) in flight.chain([(&self.queued, 0)]) {
            while at < batch.len() {
                let (end, aim) = batch.part(at);
                let file = aim.as_deref().unwrap_or(Path::new(NOWHERE));
                all.entry(file).or_default().push(&batch.bytes()[at..end]);
                at = end;
            }
        }
        all
    }
}
