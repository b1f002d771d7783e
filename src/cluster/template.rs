//! Which pod templates may be bound: an allow-list, so that a field that a newer Kubernetes adds
//! is refused until its rule is honoured. The kubelet would not check it for us.

use serde_json::Value;

use crate::api::{Fault, RESERVED, RESTART_MESSAGE};

/// Fields of a pod spec that ask nothing of the scheduler, or whose rules are honoured.
const POD_SPEC: [&str; 32] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
];

/// Sources of volumes that bind to no node and count against no limit of one.
const VOLUMES: [&str; 8] = [
    "configMap",
    "downwardAPI",
    "emptyDir",
    "hostPath",
    "image",
    "nfs",
    "projected",
    "secret",
];

/// What a template asks for that is not honoured, or that is reserved; `at` is the path of its pod spec.
pub fn faults(spec: &Value, at: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    let Some(fields) = spec.as_object() else {
        return vec![Fault::new(
            at,
            "must be a pod spec: an object with containers",
        )];
    };
    for (name, value) in fields {
        let field = format!("{at}.{name}");
        if value.is_null() {
            continue;
        }
        if let Some((_, message)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
            found.push(Fault::new(at, *message));
        } else if name == "restartPolicy" && value != "Never" {
            found.push(Fault::new(at, RESTART_MESSAGE));
        } else if name == "volumes" {
            found.extend(volume_faults(value, &field));
        } else if !POD_SPEC.contains(&name.as_str()) {
            found.push(Fault::new(
                field,
                "is not supported yet: TaskBatch does not honour its rules when it binds",
            ));
        }
    }
    found.extend(affinity_faults(
        &spec["affinity"],
        &format!("{at}.affinity"),
    ));
    for group in ["containers", "initContainers"] {
        found.extend(container_faults(&spec[group], &format!("{at}.{group}")));
    }
    if spec["hostNetwork"] == true {
        found.push(Fault::new(
            format!("{at}.hostNetwork"),
            "is not supported yet: its ports would be host ports",
        ));
    }
    found
}

fn entries(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

fn volume_faults(volumes: &Value, at: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    for (index, volume) in entries(volumes) {
        for (source, _) in volume.as_object().into_iter().flatten() {
            if source != "name" && !VOLUMES.contains(&source.as_str()) {
                found.push(Fault::new(
                    format!("{at}[{index}].{source}"),
                    "is not supported yet: such a volume may bind late or tie the pod to a node",
                ));
            }
        }
    }
    found
}

fn affinity_faults(affinity: &Value, at: &str) -> Vec<Fault> {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let known = ["nodeAffinity", "podAffinity", "podAntiAffinity"];
    let mut found = Vec::new();
    for (kind, rules) in affinity.as_object().into_iter().flatten() {
        let asks_of_pods = kind != "nodeAffinity" && !rules[required].is_null();
        if asks_of_pods || !known.contains(&kind.as_str()) {
            found.push(Fault::new(
                format!("{at}.{kind}"),
                "is not supported yet: only required node affinity is honoured",
            ));
        }
    }
    found
}

fn container_faults(containers: &Value, at: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    for (index, container) in entries(containers) {
        for (port, entry) in entries(&container["ports"]) {
            if entry["hostPort"].as_i64().is_some_and(|number| number != 0) {
                found.push(Fault::new(
                    format!("{at}[{index}].ports[{port}].hostPort"),
                    "is not supported yet: host ports are not honoured",
                ));
            }
        }
        if entries(&container["resources"]["claims"]).next().is_some() {
            found.push(Fault::new(
                format!("{at}[{index}].resources.claims"),
                "is not supported yet: resource claims are not honoured",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(spec: Value) -> Vec<String> {
        faults(&spec, "spec")
            .into_iter()
            .map(|fault| fault.field)
            .collect()
    }

    #[test]
    fn an_ordinary_template_passes() {
        let spec = json!({
            "containers": [{"name": "main", "ports": [{"containerPort": 80}]}],
            "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}}],
            "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "restartPolicy": "Never",
            "nodeName": null,
        });
        assert_eq!(fields(spec), Vec::<String>::new());
    }

    #[test]
    fn each_rule_that_is_not_honoured_is_named() {
        for (spec, field) in [
            (
                json!({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]}),
                "spec.volumes[0].persistentVolumeClaim",
            ),
            (
                json!({"volumes": [{"name": "a", "ephemeral": {}}]}),
                "spec.volumes[0].ephemeral",
            ),
            (
                json!({"resourceClaims": [{"name": "gpu"}]}),
                "spec.resourceClaims",
            ),
            (
                json!({"topologySpreadConstraints": [{}]}),
                "spec.topologySpreadConstraints",
            ),
            (
                json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}}),
                "spec.affinity.podAntiAffinity",
            ),
            (
                json!({"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}),
                "spec.containers[0].ports[0].hostPort",
            ),
            (json!({"hostNetwork": true}), "spec.hostNetwork"),
            (json!({"fieldOfTomorrow": 1}), "spec.fieldOfTomorrow"),
            (json!({"nodeName": "n"}), "spec"),
            (json!({"restartPolicy": "OnFailure"}), "spec"),
        ] {
            assert_eq!(fields(spec), [field]);
        }
    }
}
