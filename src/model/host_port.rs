//! Host ports as resources, so that every search and check honours them without knowing of them.
//!
//! Two pods clash on a node if they want the same protocol and port on the same address, or one of them on all
//! addresses (`HostPortInfo` of `k8s.io/kube-scheduler/framework`). With two resources this is a matter of sums: of
//! the port itself each node has [`ALL`], of the port on one address it has 1. Who wants all addresses takes ALL of the
//! port; who wants one takes 1 of the port and the 1 of that address. Then all addresses fit only where nothing of
//! the port is taken, one address fits unless somebody has all of them or that one, and different addresses never
//! get in each other's way, because no node has ALL of them.

/// What each node has of a port on all its addresses together: more than there are addresses of IPv4.
pub const ALL: i64 = 1 << 32;

const PREFIX: &str = "host port ";

/// The resource of a port on all addresses of a node.
pub fn port(protocol: &str, number: i32) -> String {
    format!("{PREFIX}{protocol} {number}")
}

/// The resource of a port on one address of a node.
pub fn port_on(protocol: &str, number: i32, address: &str) -> String {
    format!("{PREFIX}{protocol} {number} on {address}")
}

/// Whether the resource is a host port. No resource of Kubernetes has a space in its name.
pub fn is_host_port(resource: &str) -> bool {
    resource.starts_with(PREFIX)
}

/// What every node has of a resource without listing it: nothing, unless it is a host port.
pub(super) fn unlisted(resource: &str) -> i64 {
    match resource.strip_prefix(PREFIX) {
        None => 0,
        Some(rest) if rest.contains(" on ") => 1,
        Some(_) => ALL,
    }
}

/// The amount in ports, for people: what is not free on all addresses is not free.
pub(super) fn shown(amount: i64) -> i64 {
    if amount >= ALL / 2 {
        amount / ALL
    } else {
        amount
    }
}
