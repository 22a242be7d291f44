//! The status page of boards that a test makes, on the listener that the service serves it with.

use std::sync::Arc;

use floodmark::public_site::{Site, serve};
use floodmark::status::Board;
use floodmark::status::render::{PublicFile, public_files};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A site that is served until it is dropped.
pub struct StatusSite {
    pub url: String,
    site: watch::Sender<Arc<Site>>,
    stop: CancellationToken,
}

impl StatusSite {
    /// Serves what is public of `board`.
    pub async fn start(board: &Board) -> Self {
        Self::of_files(public_files(board)).await
    }

    /// Serves files.
    pub async fn of_files(files: Vec<PublicFile>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (site, served) = watch::channel(Arc::new(Site::new(files, &Site::default())));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, served, None, stop.clone()));
        Self { url, site, stop }
    }

    /// Another board from now on.
    pub fn show(&self, board: &Board) {
        self.site.send_modify(|site| *site = Arc::new(Site::new(public_files(board), site)));
    }

    /// An address.
    pub fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }
}

impl Drop for StatusSite {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
