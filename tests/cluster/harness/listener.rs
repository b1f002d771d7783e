//! A server of the tests that operators talk to in the place of the API server.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server on a free port of this machine; dropping it closes it.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Listener {
    pub(super) async fn start(router: Router) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            // It ends when this is dropped; an error before that shows in the operator.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, server })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.abort();
    }
}
