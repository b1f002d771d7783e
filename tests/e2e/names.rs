//! Names of pods, in the place of the cluster's DNS: answered from the EndpointSlices that Kubernetes makes of a
//! headless Service, as CoreDNS answers them. Only what the tests ask for: addresses of version 4 over UDP.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The domain of the cluster.
pub(crate) const DOMAIN: &str = "cluster.local";
/// The longest question without extensions.
const LONGEST: usize = 512;
/// The type of an address of version 4.
const ADDRESS: u16 = 1;
/// For so many seconds an answer may be kept.
const LASTS: u32 = 1;

/// A server at work; it stops when dropped.
pub(crate) struct Names {
    _server: JoinSet<()>,
}

impl Names {
    /// Answers at this address.
    pub(crate) async fn start(address: &str, client: Client) -> Result<Self> {
        let socket = UdpSocket::bind((address, 53)).await?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut buffer = [0; LONGEST];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                match answer(&client, &buffer[..length]).await {
                    Ok(answer) => drop(socket.send_to(&answer, from).await),
                    Err(error) => eprintln!("a question about a name: {error:#}"),
                }
            }
        });
        Ok(Self { _server: server })
    }
}

/// A question about one name.
struct Question {
    name: String,
    kind: u16,
    /// Where it ends in the message.
    end: usize,
}

impl Question {
    /// Reads the only question of a message.
    fn read(message: &[u8]) -> Result<Self> {
        ensure!(message.get(4..6) == Some(&[0, 1]), "not one question");
        let (mut labels, mut at) = (Vec::new(), 12);
        loop {
            let length = usize::from(*message.get(at).context("too short")?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = message.get(at..at + length).context("too short")?;
            labels.push(String::from_utf8(label.to_vec())?.to_lowercase());
            at += length;
        }
        let kind = message.get(at..at + 2).context("too short")?;
        Ok(Self {
            name: labels.join("."),
            kind: u16::from_be_bytes([kind[0], kind[1]]),
            end: at + 4,
        })
    }
}

async fn answer(client: &Client, message: &[u8]) -> Result<Vec<u8>> {
    let question = Question::read(message)?;
    let found = look_up(client, &question.name).await?;
    let address = found.filter(|_| question.kind == ADDRESS);
    // A response to a recursive question; no such name: 3.
    let code = if found.is_some() { 0 } else { 3 };
    let mut answer = message[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::from(address.is_some()),
        0,
        0,
        0,
        0,
    ]);
    answer.extend(message.get(12..question.end).context("too short")?);
    if let Some(address) = address {
        // The name stands at 12; an address of the internet, and its four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(LASTS.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Ok(answer)
}

/// The address of `<host>.<service>.<namespace>.svc.<domain>`.
async fn look_up(client: &Client, name: &str) -> Result<Option<Ipv4Addr>> {
    let within = name.strip_suffix(&format!(".svc.{DOMAIN}"));
    let labels: Vec<&str> = within.unwrap_or_default().split('.').collect();
    let [host, service, namespace] = labels[..] else {
        return Ok(None);
    };
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    for slice in slices.list(&of_service).await? {
        for endpoint in slice.endpoints.into_iter().flatten() {
            let is_ready = endpoint.conditions.and_then(|it| it.ready).unwrap_or(true);
            if is_ready && endpoint.hostname.as_deref() == Some(host) {
                let address = endpoint.addresses.first().context("no address")?;
                return Ok(Some(address.parse()?));
            }
        }
    }
    Ok(None)
}
