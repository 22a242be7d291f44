//! A TCP proxy that can be switched off: a server that is away for a while, as its clients see it.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy on a port of its own. While it is off, open connections break and new ones are closed at once.
pub struct Proxy {
    pub url: String,
    on: watch::Sender<bool>,
}

impl Proxy {
    /// Starts a proxy for the server at `url` (`http://host:port`), switched on.
    pub async fn start(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (on, is_on) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, mut is_on) = (target.clone(), is_on.clone());
                if !*is_on.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(client, &target) => {}
                        _ = is_on.wait_for(|on| !on) => {}
                    }
                });
            }
        });
        Self { url, on }
    }

    /// Switches it on or off.
    pub fn switch(&self, on: bool) {
        self.on.send_replace(on);
    }
}

async fn pass(mut client: TcpStream, target: &str) {
    if let Ok(mut server) = TcpStream::connect(target).await {
        // A connection that breaks is what the other side is to see.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
