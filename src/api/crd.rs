//! The CustomResourceDefinition, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::TaskBatch;

/// The CustomResourceDefinition of TaskBatch.
pub fn crd() -> CustomResourceDefinition {
    TaskBatch::crd()
}

/// The same as YAML, as `crds/` holds it.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&crd())
}
