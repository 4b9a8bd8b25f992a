//! What docs/install.md tells to paste: Kubernetes takes its objects, the CronJob's script leaves metrics, and address and version are
//! those of `Cargo.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use super::support::program::{PROGRAM, Ran, plain, run};
use super::support::testdata;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The object, if Kubernetes knows each of its fields: what it does not know, its type leaves out.
fn object<T: Serialize + DeserializeOwned>(yaml: &str) -> T {
    let written: Value = serde_saphyr::from_str(yaml).expect("YAML");
    let object: T = serde_json::from_value(written.clone()).expect("of this type");
    assert_eq!(serde_json::to_value(&object).expect("JSON"), written);
    object
}

fn cronjob_pod() -> PodSpec {
    let cronjob: CronJob = object(&document("monitoring/etcd-medic.cronjob.yml"));
    let job = cronjob.spec.job_template.spec.expect("a Job");
    job.template.spec.expect("a Pod")
}

/// The blocks of a language in a Markdown file.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    markdown.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().expect("a block")).collect()
}

/// Each mount has its volume, and whatever belongs to etcd is mounted read-only.
fn mounts_are_careful(pod: &PodSpec, container: &Container) {
    let volumes = pod.volumes.as_ref().expect("volumes");
    for mount in container.volume_mounts.as_ref().expect("mounts") {
        let volume = volumes.iter().find(|volume| volume.name == mount.name).expect("its volume");
        let path = &volume.host_path.as_ref().expect("a folder of the node").path;
        assert_eq!(mount.read_only == Some(true), mount.name != "textfiles", "{path}");
    }
    assert_eq!(volumes.len(), container.volume_mounts.as_ref().expect("mounts").len());
}

#[test]
fn kubernetes_takes_the_cronjob() {
    let pod = cronjob_pod();
    mounts_are_careful(&pod, &pod.containers[0]);
}

#[test]
fn kubernetes_takes_the_static_pod() {
    let install = document("install.md");
    let pods: Vec<Pod> = blocks(&install, "yaml").into_iter().map(object).collect();
    let pod = pods[0].spec.as_ref().expect("a spec");
    let container = &pod.containers[0];
    mounts_are_careful(pod, container);
    // what it is told to do, on the file that it would see below its mount
    let mount = &container.volume_mounts.as_ref().expect("a mount")[0].mount_path;
    let db = testdata("k8s-frag/frag.db").display().to_string();
    let args = container.args.as_ref().expect("arguments").iter().map(|arg| arg.replace(mount, &db));
    assert_eq!(run(args).code, 0);
}

/// A node: the db that `etcd` is, and a folder for metrics.
struct Node {
    folder: TempDir,
    etcd: PathBuf,
}

impl Node {
    fn with(etcd: PathBuf) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::os::unix::fs::symlink(PROGRAM, folder.path().join("etcd-medic")).expect("linked");
        Self { folder, etcd }
    }

    /// Runs what the CronJob's container runs, with this node's paths in place of the mounts.
    fn run(&self) -> Ran {
        let pod = cronjob_pod();
        let container = &pod.containers[0];
        let words = [container.command.clone(), container.args.clone()].map(|words| words.expect("words"));
        let [shell, flag, script] = &words.concat()[..] else { panic!("{words:?}") };
        let script = script
            .replace("/var/lib/etcd", &self.etcd.display().to_string())
            .replace("/textfiles", &self.folder.path().display().to_string());
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        plain(shell).args([flag, &script]).env("PATH", path).output().expect("ran").into()
    }

    fn metrics(&self) -> Option<String> {
        fs::read_to_string(self.folder.path().join("etcd-medic.prom")).ok()
    }
}

#[test]
fn the_cronjob_leaves_metrics() {
    let db = testdata("k8s-frag/frag.db");
    let node = Node::with(db.clone());
    let ran = node.run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let metrics = node.metrics().expect("metrics");
    for line in
        [format!("etcd_medic_up{{file=\"{}\"}} 1", db.display()), "etcd_medic_read_without_lock 1".into()]
    {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let left: Vec<_> = fs::read_dir(node.folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn the_cronjob_fails_where_nothing_can_be_read_and_its_metrics_say_so() {
    let node = Node::with("/nowhere/etcd".into());
    assert_eq!(node.run().code, 1);
    let metrics = node.metrics().expect("metrics");
    assert!(metrics.contains("etcd_medic_up{file=\"/nowhere/etcd\"} 0"), "{metrics}");
}

/// Both are in one place, and that is `Cargo.toml`.
#[test]
fn address_and_version_are_those_of_the_package() {
    let install = document("install.md");
    let manifest = include_str!("../../Cargo.toml");
    let url = manifest.lines().find_map(|line| line.strip_prefix("pkg-url = \""));
    let (address, _) = url.expect("an address").split_once("/releases/").expect("releases");
    let address = format!("REPO={address}");
    assert_eq!(
        install.lines().filter(|line| line.starts_with("REPO=")).collect::<Vec<_>>(),
        [address.as_str()]
    );
    let tags = install.split("localhost/etcd-medic:").skip(1);
    let tags: Vec<_> = tags.map(|rest| rest.split_whitespace().next().expect("a tag")).collect();
    assert!(tags.len() > 3, "{tags:?}");
    assert!(tags.iter().all(|tag| *tag == env!("CARGO_PKG_VERSION")), "{tags:?}");
}
