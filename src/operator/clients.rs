//! Clients for the API server. None of them retries by itself: kube repeats a POST after a 504, which turns
//! an unknown outcome into a conflict with ourselves, and hides minutes of waiting from the lease.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::fence;
use super::lease::Freshness;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server is, and who we are there.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig file; `None`: `$KUBECONFIG`, `~/.kube/config`, or the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; `None`: its current one.
    pub context: Option<String>,
}

/// A client for each use, each with its own connections.
pub struct Clients {
    /// For watches and lookups.
    pub cluster: Client,
    /// For the lease alone: no other call may delay a renewal.
    pub lease: Client,
    config: Config,
}

impl Clients {
    /// A client for the writes of a leader.
    pub fn writes(&self, freshness: Freshness) -> Result<Client, AccessError> {
        fence::client(&self.config, freshness).map_err(AccessError::Client)
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig: {0}")]
    Kubeconfig(kube::config::KubeconfigError),
    /// There is neither a kubeconfig nor a service account.
    #[error("no access to a cluster: {0}")]
    Infer(kube::config::InferConfigError),
    /// What they say cannot be used.
    #[error("no client for the API server: {0}")]
    Client(kube::Error),
}

impl Access {
    /// Makes the clients. Nothing is called yet.
    pub async fn clients(&self) -> Result<Clients, AccessError> {
        let mut config = self.config().await?;
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        // As the components of Kubernetes do: to compress a list takes the API server longer than to send it.
        config.disable_compression = true;
        let client = |config| Client::try_from(config).map_err(AccessError::Client);
        Ok(Clients {
            cluster: client(config.clone())?,
            lease: client(config.clone())?,
            config,
        })
    }

    async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match (&self.kubeconfig, &self.context) {
            (Some(file), _) => {
                let file = Kubeconfig::read_from(file).map_err(AccessError::Kubeconfig)?;
                Config::from_custom_kubeconfig(file, &options).await
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await,
            (None, None) => return Config::infer().await.map_err(AccessError::Infer),
        };
        config.map_err(AccessError::Kubeconfig)
    }
}
