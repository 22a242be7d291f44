//! Writes the journal without letting a disk that hangs hold pages up: better told twice than not at all.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::journal::{Journal, Work};
use crate::alert::paging::Pager;

/// A page is held up by no more than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The journal, and whether it is as new as the pager.
#[derive(Debug)]
pub struct Keeper {
    /// Absent while it is being written.
    journal: Option<Journal>,
    writing: Option<JoinHandle<(Journal, std::io::Result<()>)>>,
    /// Something was not written: what is written next is everything.
    is_behind: bool,
}

impl Keeper {
    /// Keeps an open journal.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self { journal: Some(journal), writing: None, is_behind: false }
    }

    /// Writes what the pager has changed; gives whether there was anything.
    ///
    /// # Errors
    /// It is not on disk, or not yet: why.
    pub async fn keep(&mut self, pager: &mut Pager) -> Result<bool, String> {
        let entry = pager.take_entry();
        if entry.is_empty() && !self.is_behind {
            return Ok(false);
        }
        if let Some(writing) = &mut self.writing {
            if !writing.is_finished() {
                self.is_behind = true;
                return Err("the disk does not answer".to_owned());
            }
            let ended = writing.await;
            self.writing = None;
            // Everything is written next, whatever became of it.
            self.is_behind = true;
            self.journal = Some(ended.map_err(|error| error.to_string())?.0);
        }
        let Some(mut journal) = self.journal.take() else { return Err("the journal is lost".to_owned()) };
        let whole = self.is_behind || journal.has_grown();
        let work = if whole { Work::Rewrite(pager.snapshot()) } else { Work::Append(entry) };
        let mut writing = tokio::task::spawn_blocking(move || {
            let result = journal.write(work);
            (journal, result)
        });
        match tokio::time::timeout(PATIENCE, &mut writing).await {
            Ok(Ok((journal, result))) => {
                self.journal = Some(journal);
                self.is_behind = result.is_err();
                result.map(|()| true).map_err(|error| error.to_string())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                self.writing = Some(writing);
                self.is_behind = true;
                Err(format!("the disk has not answered for {} s", PATIENCE.as_secs()))
            }
        }
    }
}
