//! The chart with the real helm: rendered, checked, installed, and its rights used by a real operator.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use taskbatch::api::Phase;

use crate::batch::{Manifest, in_phase, operator_with};
use crate::harness::{Sandbox, Test};
use crate::tests;

pub(crate) const TESTS: &[Test] = tests![
    the_chart_is_clean_and_renders_valid_objects,
    wrong_values_are_refused,
    other_levels_make_other_pods,
    the_operator_lives_with_the_rights_of_the_chart,
];

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/taskbatch");

/// Sets of values that a user may choose.
const SETS: [&[&str]; 5] = [
    &[],
    &["--set", "replicas=2", "--set", "networkPolicy.enabled=true"],
    &["--set", "watchNamespaces={a,b}", "--set", "crds.keep=false"],
    &[
        "--set",
        "crds.install=false",
        "--set",
        "serviceAccount.create=false",
        "--set",
        "serviceAccount.name=other",
    ],
    &[
        "--set-json",
        r#"topology.levels=[{"nodeLabel": "example.com/rack", "alias": "rack", "bandwidth": "10G", "latency": "50us"}]"#,
    ],
];

async fn the_chart_is_clean_and_renders_valid_objects(sandbox: Sandbox) -> Result<()> {
    let schemas = schemas(&sandbox).await?;
    let location = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        schemas.display()
    );
    sandbox
        .cluster
        .run("helm", &["lint", "--strict", CHART], "")
        .await?
        .ok()?;
    for set in SETS {
        let template = [
            &[
                "template",
                "name",
                CHART,
                "--namespace",
                "somewhere",
                "--kube-version",
                "1.33.0",
            ],
            set,
        ]
        .concat();
        let rendered = sandbox.cluster.run("helm", &template, "").await?.ok()?;
        ensure!(
            !rendered.contains("*\"") && !rendered.contains("secrets"),
            "a wildcard or secrets in\n{rendered}"
        );
        let check = ["-strict", "-summary", "-schema-location", &location];
        let report = sandbox
            .cluster
            .run("kubeconform", &check, &rendered)
            .await?
            .ok()?;
        ensure!(
            report.contains("Invalid: 0, Errors: 0, Skipped: 0"),
            "{set:?}: {report}"
        );
    }
    let typo = sandbox
        .cluster
        .run(
            "kubeconform",
            &["-strict", "-schema-location", &location],
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {prots: []}}",
        )
        .await?;
    ensure!(!typo.success, "a typo is found");
    Ok(())
}

/// The operator reads its levels at its start: what changes them must start it again.
async fn other_levels_make_other_pods(sandbox: Sandbox) -> Result<()> {
    let mut pods: Vec<Value> = Vec::new();
    for bandwidth in ["10G", "25G", "25G"] {
        let levels = json!([{"nodeLabel": "rack", "alias": "rack", "bandwidth": bandwidth}]);
        let levels = format!("topology.levels={levels}");
        let template = [
            "template",
            "name",
            CHART,
            "--show-only",
            "templates/deployment.yaml",
            "--set-json",
            &levels,
        ];
        let rendered = sandbox.cluster.run("helm", &template, "").await?.ok()?;
        let deployment: Value = serde_saphyr::from_str(&rendered)?;
        pods.push(deployment["spec"]["template"].clone());
    }
    ensure!(pods[0] != pods[1] && pods[1] == pods[2], "{pods:?}");
    Ok(())
}

/// JSON schemas of all kinds of the server, as kubeconform reads them: with no field that is not known.
async fn schemas(sandbox: &Sandbox) -> Result<PathBuf> {
    let folder = sandbox.cluster.folder().join("schemas");
    std::fs::create_dir_all(&folder)?;
    let index = ["get", "--raw", "/openapi/v3"];
    let index: Value = serde_json::from_str(&sandbox.kubectl(&index).await?.ok()?)?;
    let groups = [
        "api/v1",
        "apis/apps/v1",
        "apis/policy/v1",
        "apis/rbac.authorization.k8s.io/v1",
        "apis/networking.k8s.io/v1",
        "apis/coordination.k8s.io/v1",
        "apis/apiextensions.k8s.io/v1",
    ];
    for group in groups {
        let path = index["paths"][group]["serverRelativeURL"]
            .as_str()
            .context(group)?;
        let document: Value =
            serde_json::from_str(&sandbox.kubectl(&["get", "--raw", path]).await?.ok()?)?;
        let mut all = document["components"]["schemas"].clone();
        close(&mut all);
        for (name, schema) in all.as_object().context("schemas")? {
            let [kind] = schema["x-kubernetes-group-version-kind"]
                .as_array()
                .map_or(&[][..], Vec::as_slice)
            else {
                continue;
            };
            let text = |key: &str| kind[key].as_str().unwrap_or_default().to_lowercase();
            let group = text("group")
                .split('.')
                .next()
                .map(str::to_owned)
                .unwrap_or_default();
            let dash = if group.is_empty() { "" } else { "-" };
            let file = format!("{}{dash}{group}-{}.json", text("kind"), text("version"));
            let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": all}});
            std::fs::write(folder.join(file), schema.to_string())?;
        }
    }
    Ok(folder)
}

/// Forbids fields that are not named, and drops defaults, some of which are of a wrong type.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("default");
            if fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            for (name, value) in fields {
                match value {
                    // Names of fields stand here, and one may be called `default`.
                    Value::Object(named) if name == "properties" => {
                        named.values_mut().for_each(close);
                    }
                    value => close(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

async fn wrong_values_are_refused(sandbox: Sandbox) -> Result<()> {
    for wrong in [
        "replicas=many",
        "replica=2",
        "image.tags=1",
        "log.format=xml",
        "topology.levels[0].alias=rack",
    ] {
        let answer = sandbox
            .cluster
            .run("helm", &["template", "name", CHART, "--set", wrong], "")
            .await?;
        ensure!(!answer.success, "{wrong} was taken");
    }
    Ok(())
}

async fn the_operator_lives_with_the_rights_of_the_chart(sandbox: Sandbox) -> Result<()> {
    sandbox.node("n").create().await?;
    let namespace = sandbox.namespace.clone();
    let release = [
        "install",
        "taskbatch",
        CHART,
        "--namespace",
        &namespace,
        "--set",
        "crds.install=false",
        "--set",
        "replicas=0",
    ];
    sandbox.cluster.run("helm", &release, "").await?.ok()?;
    let kubeconfig = sandbox.kubeconfig_of("taskbatch").await?;
    let operator = operator_with(&sandbox, &kubeconfig, "taskbatch").await?;
    let batch = Manifest::new("ttlSecondsAfterFinished: 3").task(
        "work",
        "retry: {limit: 1, backoff: {initial: 0s}}",
        &[("run-for", "500ms"), ("fail-below-attempt", "1")],
    );
    sandbox.apply(&batch.yaml()).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    crate::batch::no_pods(&sandbox).await?;
    let delegated = Manifest::new("binding: Delegate")
        .task("work", "", &[])
        .yaml();
    sandbox.apply(&delegated).await?.ok()?;
    in_phase(&sandbox, "demo", Phase::Complete).await?;
    let log = operator.log()?.to_lowercase();
    ensure!(!log.contains("forbidden"), "{log}");
    let list = ["list", "--namespace", &namespace, "--output", "json"];
    let releases: Vec<BTreeMap<String, Value>> =
        serde_json::from_str(&sandbox.cluster.run("helm", &list, "").await?.ok()?)?;
    ensure!(releases.len() == 1, "{releases:?}");
    sandbox
        .cluster
        .run(
            "helm",
            &[
                "uninstall",
                "taskbatch",
                "--namespace",
                &namespace,
                "--wait",
            ],
            "",
        )
        .await?
        .ok()?;
    let left = sandbox
        .kubectl(&[
            "get",
            "clusterrole,clusterrolebinding",
            "-l",
            "app.kubernetes.io/instance=taskbatch",
            "-o",
            "name",
        ])
        .await?
        .ok()?;
    ensure!(left.trim().is_empty(), "{left}");
    Ok(())
}
