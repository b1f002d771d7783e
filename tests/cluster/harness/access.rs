//! Who may talk to the API server, and the kubeconfigs that say so.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// The users of the token file; all are cluster admins and differ by name, so that the audit log tells them apart.
pub(crate) const USERS: [&str; 5] = [
    "admin",
    "controller-manager",
    "scheduler",
    "kwok",
    "operator",
];

/// The token file of the API server: token, user, uid, groups.
pub(crate) fn token_file() -> String {
    USERS
        .map(|user| format!("{},{user},{user},system:masters\n", token_of(user)))
        .concat()
}

fn token_of(user: &str) -> String {
    format!("{user}-token")
}

/// Where the API server is and how to know that it is the right one.
pub(crate) struct Access {
    folder: PathBuf,
    server: String,
    certificate: PathBuf,
}

impl Access {
    /// Writes a kubeconfig for each of [`USERS`].
    pub(crate) fn new(folder: &Path, server: &str, certificate: &Path) -> Result<Self> {
        let access = Self {
            folder: folder.into(),
            server: server.into(),
            certificate: certificate.into(),
        };
        for user in USERS {
            access.write_kubeconfig(user, "default", &token_of(user))?;
        }
        Ok(access)
    }

    /// The kubeconfig written under this name.
    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.kubeconfig"))
    }

    /// Writes a kubeconfig with this token and this namespace as the default.
    pub(crate) fn write_kubeconfig(
        &self,
        name: &str,
        namespace: &str,
        token: &str,
    ) -> Result<PathBuf> {
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.server, "certificate-authority": self.certificate,
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
        });
        let path = self.kubeconfig(name);
        fs::write(&path, serde_json::to_string_pretty(&content)?)?;
        Ok(path)
    }
}

/// A client as this kubeconfig makes one.
pub(crate) async fn client(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig).context("unreadable kubeconfig")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
