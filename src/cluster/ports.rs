//! Host ports that a pod takes of its node.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

use super::requests::is_sidecar;
use crate::model::Resources;
use crate::model::host_port::{ALL, port, port_on};

const ALL_ADDRESSES: &str = "0.0.0.0";

/// The host ports of a pod as resources: those of its containers and sidecars, since init containers are gone when
/// others come. On the network of the host every port of a container is one, as the API server completes it.
pub fn demand(spec: &PodSpec) -> Resources {
    let sidecars = spec.init_containers.iter().flatten();
    let lasting = spec
        .containers
        .iter()
        .chain(sidecars.filter(|one| is_sidecar(one)));
    let mut addresses: BTreeMap<(&str, i32), BTreeSet<&str>> = BTreeMap::new();
    for (entry, number) in lasting.flat_map(|one| host_ports(one, spec.host_network == Some(true)))
    {
        let protocol = text(entry.protocol.as_ref(), "TCP");
        let address = text(entry.host_ip.as_ref(), ALL_ADDRESSES);
        addresses
            .entry((protocol, number))
            .or_default()
            .insert(address);
    }
    let mut demand = Resources::default();
    for ((protocol, number), addresses) in addresses {
        if addresses.contains(ALL_ADDRESSES) {
            demand.set(port(protocol, number), ALL);
            continue;
        }
        let count = i64::try_from(addresses.len()).unwrap_or(ALL);
        demand.set(port(protocol, number), count);
        for address in addresses {
            demand.set(port_on(protocol, number, address), 1);
        }
    }
    demand
}

fn host_ports(one: &Container, on_host: bool) -> impl Iterator<Item = (&ContainerPort, i32)> {
    one.ports.iter().flatten().filter_map(move |entry| {
        let number = match entry.host_port {
            None | Some(0) if on_host => entry.container_port,
            number => number.unwrap_or(0),
        };
        (number > 0).then_some((entry, number))
    })
}

fn text<'a>(found: Option<&'a String>, default: &'a str) -> &'a str {
    found
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn taken(ports: Value) -> Resources {
        of(json!({"containers": [{"name": "a", "ports": ports}]}))
    }

    fn of(spec: Value) -> Resources {
        demand(&serde_json::from_value(spec).expect("a pod spec"))
    }

    /// Whether the second pod finds its ports on a node that the first one uses.
    fn fits_beside(first: Value, second: Value) -> bool {
        let mut free = Resources::default();
        free.subtract(&taken(first)).expect("small sums");
        free.holds(&taken(second))
    }

    #[test]
    fn ports_clash_as_upstream_has_it() {
        let all = json!([{"containerPort": 1, "hostPort": 80}]);
        let all_named =
            json!([{"containerPort": 2, "hostPort": 80, "hostIP": "0.0.0.0", "protocol": "TCP"}]);
        let one = json!([{"containerPort": 1, "hostPort": 80, "hostIP": "10.0.0.1"}]);
        let other = json!([{"containerPort": 1, "hostPort": 80, "hostIP": "10.0.0.2"}]);
        let udp = json!([{"containerPort": 1, "hostPort": 80, "protocol": "UDP"}]);
        let none = json!([{"containerPort": 80}]);
        let both = json!([{"containerPort": 1, "hostPort": 80, "hostIP": "10.0.0.1"}, {"containerPort": 1, "hostPort": 80}]);
        for (first, second, fits) in [
            (&all, &all, false),
            (&all, &all_named, false),
            (&all, &one, false),
            (&one, &all_named, false),
            (&one, &one, false),
            (&one, &other, true),
            (&both, &other, false),
            (&other, &both, false),
            (&all, &udp, true),
            (&all, &none, true),
            (&none, &all, true),
        ] {
            assert_eq!(
                fits_beside(first.clone(), second.clone()),
                fits,
                "{first} {second}"
            );
        }
    }

    #[test]
    fn only_what_keeps_running_keeps_a_port() {
        let ports = json!([{"containerPort": 1, "hostPort": 80}]);
        let init = |policy: Value| json!({"containers": [], "initContainers": [{"name": "i", "restartPolicy": policy, "ports": ports}]});
        assert!(of(init(Value::Null)).is_empty());
        assert_eq!(of(init(json!("Always"))).get("host port TCP 80"), ALL);
    }

    #[test]
    fn on_the_network_of_the_host_every_port_is_one_of_the_host() {
        let spec = json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]});
        assert_eq!(of(spec).get("host port TCP 80"), ALL);
    }
}
