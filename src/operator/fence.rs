//! Connections on which nothing leaves this process once it may not lead any more.
//!
//! To ask before a call is begun is not enough: a process may be stopped for a minute between the question and the
//! moment at which the bytes go out, with dozens of calls on their way through its queues. So the question is asked
//! again by the connection itself, just before it hands bytes to the kernel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder};

use super::lease::Freshness;

/// A client for writes, which the fence cuts off. A proxy on the way is spoken to as usual: with one, calls are only
/// held back when they begin.
pub fn client(config: &Config, freshness: Freshness) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        return Client::try_from(config.clone());
    }
    let mut http = HttpConnector::new();
    // The connector around it speaks TLS.
    http.enforce_http(false);
    http.set_connect_timeout(config.connect_timeout);
    http.set_nodelay(true);
    let fenced = Fenced {
        inner: http,
        freshness,
    };
    let https = config.rustls_https_connector_with_connector(fenced)?;
    let http = legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(https);
    let calls = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(calls, config.default_namespace.clone()))
}

/// Connects as `inner` does.
#[derive(Clone)]
struct Fenced<C> {
    inner: C,
    freshness: Freshness,
}

impl<C> Service<Uri> for Fenced<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = FencedStream<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, freshness) = (self.inner.call(to), self.freshness.clone());
        Box::pin(async move {
            let inner = connecting.await?;
            Ok(FencedStream { inner, freshness })
        })
    }
}

/// A connection that takes no bytes while the lease is not surely ours.
struct FencedStream<S> {
    inner: S,
    freshness: Freshness,
}

impl<S> FencedStream<S> {
    fn ask(&self) -> io::Result<()> {
        match self.freshness.may_write() {
            true => Ok(()),
            false => Err(io::Error::other("the lease was not renewed lately")),
        }
    }
}

impl<S: Write + Unpin> Write for FencedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ask()?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ask()?;
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: Read + Unpin> Read for FencedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: Connection> Connection for FencedStream<S> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::lease::Freshness;
    use std::time::Duration;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn no_byte_leaves_once_the_lease_is_not_surely_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let heard = tokio::spawn(async move {
            let mut heard = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                // Answers nothing: the calls end when the connection does.
                let mut buffer = [0; 4096];
                let read = loop {
                    stream.readable().await.expect("bytes, or the end");
                    match stream.try_read(&mut buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => break read.unwrap_or(0),
                    }
                };
                heard.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                if heard.len() == 2 {
                    break;
                }
            }
            heard
        });
        let config = Config::new(format!("http://{address}").parse().expect("a URI"));
        for age in [Duration::ZERO, Duration::from_secs(6)] {
            let client = client(&config, Freshness::renewed_ago(age)).expect("a client");
            let path = format!("/api/v1/namespaces/ns/pods/{}s", age.as_secs());
            _ = crate::operator::call::send(&client, "DELETE", &path, None).await;
        }
        let heard = heard.await.expect("the server");
        assert!(
            heard[0].starts_with("DELETE /api/v1/namespaces/ns/pods/0s?"),
            "{heard:?}"
        );
        assert_eq!(heard[1], "");
    }
}
