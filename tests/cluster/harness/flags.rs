//! What the parts of the control plane are told when they start.

use std::net::SocketAddrV4;
use std::path::Path;

use super::access::Access;
use super::control_plane::Purpose;
use super::tools;

fn flags<const N: usize>(pairs: [(&str, String); N]) -> Vec<String> {
    pairs
        .map(|(flag, value)| format!("--{flag}={value}"))
        .into()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// For etcd, with its two ports.
pub(crate) fn etcd(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    flags([
        ("data-dir", shown(&folder.join("etcd"))),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer.clone()),
        ("initial-cluster", format!("default={peer}")),
        ("log-level", "warn".into()),
        // Nothing here has to survive a power cut.
        ("unsafe-no-fsync", "true".into()),
    ])
}

/// For kube-apiserver.
pub(crate) fn api_server(
    folder: &Path,
    etcd: u16,
    api: SocketAddrV4,
    purpose: Purpose,
) -> Vec<String> {
    // The server makes its own certificate before it reads the key for tokens, so one key serves both.
    let key = shown(&folder.join("api/apiserver.key"));
    let mut all = flags([
        ("etcd-servers", format!("http://127.0.0.1:{etcd}")),
        ("bind-address", api.ip().to_string()),
        ("secure-port", api.port().to_string()),
        ("advertise-address", api.ip().to_string()),
        // A loopback address may not stand in the endpoints of the service `kubernetes`.
        ("endpoint-reconciler-type", "none".into()),
        ("cert-dir", shown(&folder.join("api"))),
        ("token-auth-file", shown(&folder.join("tokens.csv"))),
        ("authorization-mode", "RBAC,Node".into()),
        ("service-account-key-file", key.clone()),
        ("service-account-signing-key-file", key),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc".into(),
        ),
        ("service-cluster-ip-range", "10.0.0.0/24".into()),
        ("allow-privileged", "true".into()),
    ]);
    all.extend(match purpose {
        Purpose::Tests => flags([
            ("audit-policy-file", shown(&tools::source("audit.yaml"))),
            ("audit-log-path", shown(&folder.join("audit.log"))),
        ]),
        // It taints every new node until a controller, which would miss the heartbeats, has seen it ready.
        Purpose::Measurements => flags([(
            "disable-admission-plugins",
            "TaintNodesByCondition".to_owned(),
        )]),
    });
    all
}

/// For kube-controller-manager.
pub(crate) fn controller_manager(
    access: &Access,
    folder: &Path,
    port: u16,
    purpose: Purpose,
) -> Vec<String> {
    let (controllers, rate) = match purpose {
        // Twenty requests a second, the default, is too slow for many namespaces at once.
        Purpose::Tests => ("*", 200),
        Purpose::Measurements => ("*,-node-lifecycle-controller", 5000),
    };
    flags([
        ("controllers", controllers.into()),
        (
            "kubeconfig",
            shown(&access.kubeconfig("controller-manager")),
        ),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", port.to_string()),
        ("leader-elect", "false".into()),
        (
            "service-account-private-key-file",
            shown(&folder.join("api/apiserver.key")),
        ),
        // Each pod finds it beside its token, to know the API server by.
        ("root-ca-file", shown(&folder.join("api/apiserver.crt"))),
        ("kube-api-qps", rate.to_string()),
        ("kube-api-burst", (2 * rate).to_string()),
    ])
}

/// For kube-scheduler.
pub(crate) fn scheduler(access: &Access, port: u16) -> Vec<String> {
    flags([
        ("kubeconfig", shown(&access.kubeconfig("scheduler"))),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", port.to_string()),
        ("leader-elect", "false".into()),
        // As many as it likes, as the operator does; the default is 50.
        ("kube-api-qps", "5000".into()),
        ("kube-api-burst", "5000".into()),
    ])
}

/// For kwok, which simulates the nodes.
pub(crate) fn kwok(access: &Access, port: u16) -> Vec<String> {
    flags([
        ("kubeconfig", shown(&access.kubeconfig("kwok"))),
        ("config", shown(&tools::source("stages.yaml"))),
        // Nodes without the annotation belong to the fake kubelet, or to nobody.
        ("manage-all-nodes", "false".into()),
        (
            "manage-nodes-with-annotation-selector",
            "kwok.x-k8s.io/node=fake".into(),
        ),
        ("node-ip", "127.0.0.1".into()),
        ("server-address", format!("127.0.0.1:{port}")),
    ])
}
