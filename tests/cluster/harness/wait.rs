//! Waiting for what the control plane does in its own time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::http::Request;
use kube::{Client, Config};

/// So many seconds.
pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Asks `probe` again and again until it answers, and says what it said last when `patience` is over.
pub(crate) async fn eventually<T>(
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match probe().await {
            Ok(answer) => return Ok(answer),
            Err(reason) if Instant::now() >= deadline => {
                return Err(reason.context(format!("still not so after {patience:?}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Whether `GET url` is answered with 200. The certificates of the components are self-signed, and this asks for
/// nothing but a sign of life, so they are not checked.
pub(crate) async fn answers(url: &str) -> Result<()> {
    let (scheme, rest) = url.split_once("://").context("no scheme")?;
    let (authority, path) = rest.split_once('/').context("no path")?;
    let mut config = Config::new(format!("{scheme}://{authority}").parse()?);
    config.accept_invalid_certs = true;
    let request = Request::get(format!("/{path}")).body(Vec::new())?;
    Client::try_from(config)?
        .request_text(request)
        .await
        .with_context(|| format!("{url} does not answer"))?;
    Ok(())
}

/// Status and body of a plain `GET`; HTTP/1.0, so that the body ends with the connection and is never chunked.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let exchange = move || {
        let mut stream = TcpStream::connect_timeout(&address, seconds(2))?;
        stream.set_read_timeout(Some(seconds(10)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("no end of the head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    };
    tokio::task::spawn_blocking(exchange).await?
}

/// Ports of 127.0.0.1 that nobody listens on; all are held before any is let go, so they differ.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
