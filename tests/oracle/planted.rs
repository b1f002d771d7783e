//! Each test of this folder can fail: our side is made to forget one thing of the objects that both sides get, as an
//! error in the code would, and the comparison must notice.

use serde_json::{Value, json};

use super::oracle::compare;
use super::{filters, neighbours, requests};

/// So many cases catch any of the errors.
const ENOUGH: u64 = 3000;

type Forget = fn(&mut Value);

fn each(list: &mut Value, change: impl Fn(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(change);
}

/// Changes all containers of a pod, or only those that start it.
fn containers(pod: &mut Value, groups: &[&str], change: impl Fn(&mut Value)) {
    for group in groups {
        each(&mut pod["spec"][*group], &change);
    }
}

const ALL: [&str; 2] = ["containers", "initContainers"];
const INIT: [&str; 1] = ["initContainers"];

/// Errors in the request of a pod.
const OF_REQUESTS: [(&str, Forget); 14] = [
    ("sidecars are summed like init containers", |pod| {
        containers(pod, &INIT, |one| one["restartPolicy"] = Value::Null);
    }),
    ("init containers are summed like sidecars", |pod| {
        containers(pod, &INIT, |one| one["restartPolicy"] = json!("Always"));
    }),
    (
        "a sidecar counts for the init containers before it",
        |pod| {
            if let Some(list) = pod["spec"]["initContainers"].as_array_mut() {
                list.sort_by_key(|one| one["restartPolicy"] != "Always");
            }
        },
    ),
    ("every policy to restart makes a sidecar", |pod| {
        containers(pod, &INIT, |one| {
            if !one["restartPolicy"].is_null() {
                one["restartPolicy"] = json!("Always");
            }
        });
    }),
    ("init containers are forgotten", |pod| {
        pod["spec"]["initContainers"] = json!([])
    }),
    ("the overhead is forgotten", |pod| {
        pod["spec"]["overhead"] = Value::Null
    }),
    ("requests of the whole pod are forgotten", |pod| {
        pod["spec"]["resources"] = Value::Null
    }),
    ("limits are no requests", |pod| {
        containers(pod, &ALL, |one| {
            if one["resources"].is_object() {
                one["resources"]["limits"] = Value::Null;
            }
        });
    }),
    ("what the kubelet says is forgotten", |pod| {
        pod["status"] = json!({})
    }),
    ("what the kubelet has allocated is forgotten", |pod| {
        for group in ["containerStatuses", "initContainerStatuses"] {
            each(&mut pod["status"][group], |one| {
                one["allocatedResources"] = Value::Null
            });
        }
    }),
    (
        "what is allocated counts before the kubelet says what is used",
        |pod| {
            each(&mut pod["status"]["containerStatuses"], |one| {
                if one["resources"].is_null() {
                    one["resources"] = json!({});
                }
            });
        },
    ),
    ("a resize of the whole pod is forgotten", |pod| {
        pod["status"]["resources"] = Value::Null;
    }),
    ("an infeasible resize counts", |pod| {
        pod["status"]["conditions"] = Value::Null
    }),
    ("each amount is rounded up", |pod| {
        containers(pod, &ALL, |one| {
            for (name, amount) in one["resources"]["requests"]
                .as_object_mut()
                .into_iter()
                .flatten()
            {
                let text = amount
                    .as_str()
                    .map_or_else(|| amount.to_string(), str::to_owned);
                if let Ok(whole) = taskbatch::cluster::quantity::amount(name, &text) {
                    *amount = json!(taskbatch::cluster::quantity::format(name, whole));
                }
            }
        });
    }),
];

/// Errors in a filter, or in what is free.
const OF_FILTERS: [(&str, Forget); 27] = [
    ("NoExecute taints are ignored", |it| {
        drop_taints(it, "NoExecute")
    }),
    ("NoSchedule taints are ignored", |it| {
        drop_taints(it, "NoSchedule")
    }),
    ("PreferNoSchedule taints are hard", |it| {
        each(&mut it["node"]["spec"]["taints"], |taint| {
            if taint["effect"] == "PreferNoSchedule" {
                taint["effect"] = json!("NoSchedule");
            }
        });
    }),
    ("values of taints are ignored", |it| {
        each(&mut it["node"]["spec"]["taints"], |one| {
            one["value"] = Value::Null
        });
        each(&mut it["pod"]["spec"]["tolerations"], |one| {
            one["value"] = Value::Null
        });
    }),
    ("the effect of a toleration is ignored", |it| {
        each(&mut it["pod"]["spec"]["tolerations"], |one| {
            one["effect"] = Value::Null
        });
    }),
    ("the key of a toleration is ignored", |it| {
        each(&mut it["pod"]["spec"]["tolerations"], |one| {
            one["key"] = json!("")
        });
    }),
    ("an unknown operator is Exists", |it| {
        each(&mut it["pod"]["spec"]["tolerations"], |one| {
            if ["Gt", "Lt", "In", "exists"]
                .iter()
                .any(|name| one["operator"] == *name)
            {
                one["operator"] = json!("Exists");
            }
        });
    }),
    ("cordons are ignored", |it| {
        it["node"]["spec"]["unschedulable"] = json!(false)
    }),
    ("nobody tolerates a cordon", |it| {
        if it["node"]["spec"]["unschedulable"] == true {
            it["pod"]["spec"]["tolerations"] = json!([]);
        }
    }),
    ("the node selector is ignored", |it| {
        it["pod"]["spec"]["nodeSelector"] = Value::Null
    }),
    ("node affinity is ignored", |it| {
        it["pod"]["spec"]["affinity"] = Value::Null
    }),
    ("fields are not matched", |it| {
        each_term(it, |term| term["matchFields"] = Value::Null)
    }),
    ("NotIn is ignored", |it| drop_expressions(it, "NotIn")),
    ("Exists is ignored", |it| drop_expressions(it, "Exists")),
    ("Gt and Lt are mixed up", |it| {
        each_term(it, |term| {
            each(&mut term["matchExpressions"], |one| {
                if one["operator"] == "Gt" {
                    one["operator"] = json!("Lt");
                } else if one["operator"] == "Lt" {
                    one["operator"] = json!("Gt");
                }
            });
        });
    }),
    ("only the first term counts", |it| {
        let terms = &mut required(it)["nodeSelectorTerms"];
        if let Some(terms) = terms.as_array_mut() {
            terms.truncate(1);
        }
    }),
    ("the node that a pod names is ignored", |it| {
        it["pod"]["spec"]["nodeName"] = Value::Null
    }),
    ("host ports of the pod are forgotten", |it| {
        drop_ports(&mut it["pod"], &ALL)
    }),
    ("host ports of others are forgotten", |it| {
        each(&mut it["others"], |other| drop_ports(other, &ALL));
    }),
    ("ports of sidecars are forgotten", |it| {
        each(&mut it["others"], |other| drop_ports(other, &INIT));
        drop_ports(&mut it["pod"], &INIT);
    }),
    ("the protocol of a port is ignored", |it| {
        set_ports(it, "protocol")
    }),
    ("the address of a port is ignored", |it| {
        set_ports(it, "hostIP")
    }),
    ("the number of pods is ignored", |it| {
        it["node"]["status"]["allocatable"]["pods"] = json!(1000)
    }),
    ("pods that have ended hold their room", |it| {
        each(&mut it["others"], |other| {
            other["status"]["phase"] = json!("Running")
        });
    }),
    ("pods that are being deleted hold nothing", |it| {
        if let Some(others) = it["others"].as_array_mut() {
            others.retain(|other| other["metadata"]["deletionTimestamp"].is_null());
        }
    }),
    ("resizes of others are forgotten", |it| {
        each(&mut it["others"], |other| {
            other["status"]["containerStatuses"] = Value::Null
        });
    }),
    ("a device that the node does not list is forgotten", |it| {
        containers(&mut it["pod"], &ALL, |one| {
            if let Some(requests) = one["resources"]["requests"].as_object_mut() {
                requests.remove("example.com/fpga");
            }
        });
    }),
];

/// Errors about pods that keep others away.
const OF_NEIGHBOURS: [(&str, Forget); 6] = [
    ("nobody keeps others away", |it| it["others"] = json!([])),
    ("pods that have ended keep others away", |it| {
        each(&mut it["others"], |other| {
            other["status"]["phase"] = json!("Running")
        });
    }),
    ("near is only the same node", |it| {
        each_anti(it, |term| {
            term["topologyKey"] = json!("kubernetes.io/hostname")
        });
    }),
    ("every namespace is meant", |it| {
        each_anti(it, |term| term["namespaces"] = json!(["ours"]));
    }),
    ("expressions on labels are ignored", |it| {
        each_anti(it, |term| {
            if term["labelSelector"].is_object() {
                term["labelSelector"]["matchExpressions"] = Value::Null;
            }
        });
    }),
    ("no selector means everybody", |it| {
        each_anti(it, |term| {
            if term["labelSelector"].is_null() {
                term["labelSelector"] = json!({});
            }
        });
    }),
];

fn each_anti(it: &mut Value, change: impl Fn(&mut Value)) {
    each(&mut it["others"], |other| {
        let rules = &mut other["spec"]["affinity"]["podAntiAffinity"];
        each(
            &mut rules["requiredDuringSchedulingIgnoredDuringExecution"],
            &change,
        );
    });
}

fn drop_taints(it: &mut Value, effect: &str) {
    if let Some(taints) = it["node"]["spec"]["taints"].as_array_mut() {
        taints.retain(|taint| taint["effect"] != effect);
    }
}

fn required(it: &mut Value) -> &mut Value {
    &mut it["pod"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
}

fn each_term(it: &mut Value, change: impl Fn(&mut Value)) {
    if it["pod"]["spec"]["affinity"].is_object() {
        each(&mut required(it)["nodeSelectorTerms"], change);
    }
}

fn drop_expressions(it: &mut Value, operator: &str) {
    each_term(it, |term| {
        if let Some(list) = term["matchExpressions"].as_array_mut() {
            list.retain(|one| one["operator"] != operator);
        }
    });
}

fn drop_ports(pod: &mut Value, groups: &[&str]) {
    containers(pod, groups, |one| one["ports"] = Value::Null);
}

fn set_ports(it: &mut Value, field: &str) {
    let forget = |pod: &mut Value| {
        containers(pod, &ALL, |one| {
            each(&mut one["ports"], |port| port[field] = Value::Null);
        });
    };
    forget(&mut it["pod"]);
    each(&mut it["others"], forget);
}

/// For each error the first case in which a worker noticed it.
type Noticed = Vec<Option<u64>>;

#[test]
fn errors_in_requests_are_caught() {
    let found = compare(
        0..ENOUGH,
        requests::question,
        |noticed: &mut Noticed, seed, question, answer| {
            notice(noticed, seed, &OF_REQUESTS, |forget| {
                let mut tally = requests::Tally::default();
                requests::judge(&mut tally, seed, question, answer, forget);
                !tally.differences.is_empty()
            });
        },
    );
    all_noticed(&OF_REQUESTS, &found);
}

#[test]
fn errors_in_filters_are_caught() {
    let found = compare(
        0..ENOUGH,
        filters::question,
        |noticed: &mut Noticed, seed, question, answer| {
            notice(noticed, seed, &OF_FILTERS, |forget| {
                let mut tally = filters::Tally::default();
                filters::judge(&mut tally, seed, question, answer, forget);
                !tally.differences.is_empty()
            });
        },
    );
    all_noticed(&OF_FILTERS, &found);
}

#[test]
fn errors_about_neighbours_are_caught() {
    let found = compare(
        0..ENOUGH,
        neighbours::question,
        |noticed: &mut Noticed, seed, question, answer| {
            notice(noticed, seed, &OF_NEIGHBOURS, |forget| {
                let mut tally = neighbours::Tally::default();
                neighbours::judge(&mut tally, seed, question, answer, forget);
                !tally.differences.is_empty()
            });
        },
    );
    all_noticed(&OF_NEIGHBOURS, &found);
}

/// Tries the errors that were not noticed yet.
fn notice(
    noticed: &mut Noticed,
    seed: u64,
    errors: &[(&str, Forget)],
    differs: impl Fn(Forget) -> bool,
) {
    noticed.resize(errors.len(), None);
    for (first, (_, forget)) in noticed.iter_mut().zip(errors) {
        if first.is_none() && differs(*forget) {
            *first = Some(seed);
        }
    }
}

fn all_noticed(errors: &[(&str, Forget)], found: &[Noticed]) {
    for (at, (name, _)) in errors.iter().enumerate() {
        let first = found.iter().filter_map(|noticed| noticed[at]).min();
        println!("{name}: first noticed in case {first:?}");
        assert!(first.is_some(), "{name}: not noticed in {ENOUGH} cases");
    }
}
