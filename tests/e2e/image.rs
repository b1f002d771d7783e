//! Container images, written as `docker save` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const PROGRAM: &str = env!("CARGO_BIN_EXE_taskbatch");
/// The image that the chart asks for when no value says otherwise.
const OPERATOR: &str = concat!("docker.io/taskbatch/taskbatch:", env!("CARGO_PKG_VERSION"));
/// What a shell needs to compute something.
const APPLETS: [&str; 10] = [
    "sh", "[", "awk", "cat", "dd", "echo", "nc", "sleep", "test", "true",
];

/// An image under construction: one layer of files, and how it is run.
pub(crate) struct Image {
    name: String,
    config: Value,
    layer: PathBuf,
}

impl Image {
    /// An empty image; it is put together in `folder`.
    pub(crate) fn new(folder: &Path, name: &str, config: Value) -> Result<Self> {
        let layer = folder.join(name.replace(['/', ':'], "-"));
        fs::create_dir_all(&layer)?;
        Ok(Self {
            name: name.into(),
            config,
            layer,
        })
    }

    /// The place of `path` of the image, in the folder in which it is put together.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let place = self.layer.join(path.strip_prefix("/")?);
        fs::create_dir_all(place.parent().context("no folder")?)?;
        Ok(place)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        fs::copy(from, self.place(to)?).with_context(|| from.display().to_string())?;
        Ok(())
    }

    /// Writes the archive and returns its path.
    pub(crate) fn save(self) -> Result<PathBuf> {
        let folder = self.layer.with_extension("image");
        fs::create_dir_all(&folder)?;
        let layer = folder.join("layer.tar");
        tar(&layer, &self.layer, ".")?;
        let config = json!({
            "architecture": architecture()?,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer)?)]},
        });
        fs::write(folder.join("config.json"), config.to_string())?;
        // Its name tells which configuration an image has.
        let named = format!("{}.json", sha256(&folder.join("config.json"))?);
        fs::rename(folder.join("config.json"), folder.join(&named))?;
        let manifest = json!([{"Config": named, "RepoTags": [self.name], "Layers": ["layer.tar"]}]);
        fs::write(folder.join("manifest.json"), manifest.to_string())?;
        let archive = self.layer.with_extension("tar");
        tar(&archive, &folder, ".")?;
        Ok(archive)
    }
}

/// The image of the operator: that of the Dockerfile if `TASKBATCH_IMAGE` names its archive, as `make e2e` does where
/// a builder works; else one put together from the program under test, as the last stage of the Dockerfile says.
pub(crate) fn operator(folder: &Path) -> Result<PathBuf> {
    if let Some(archive) = std::env::var_os("TASKBATCH_IMAGE") {
        eprintln!("e2e: the operator's image was built from the Dockerfile");
        return Ok(archive.into());
    }
    eprintln!(
        "e2e: the operator's image is put together from the program under test, as the Dockerfile's last stage says"
    );
    let stage = Stage::read(DOCKERFILE)?;
    let image = Image::new(folder, OPERATOR, stage.config)?;
    let program = image.place(&stage.program)?;
    run(Command::new("strip").arg("-o").arg(program).arg(PROGRAM))?;
    // The Dockerfile links statically. The program under test may need the libraries that it was linked with.
    for library in libraries(Path::new(PROGRAM))? {
        image.copy(&library, &library)?;
    }
    image.save()
}

/// The image of what the tasks run: a shell.
pub(crate) fn worker(folder: &Path, busybox: &Path) -> Result<PathBuf> {
    let config = json!({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]});
    let image = Image::new(folder, "localhost/worker:1", config)?;
    image.copy(busybox, Path::new("/bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", image.layer.join("bin").join(applet))?;
    }
    image.save()
}

/// The image of the process that holds the network of a pod.
pub(crate) fn pause(folder: &Path, busybox: &Path) -> Result<PathBuf> {
    let config = json!({"Entrypoint": ["/busybox", "sleep", "2147483647"]});
    let image = Image::new(folder, "localhost/pause:1", config)?;
    image.copy(busybox, Path::new("/busybox"))?;
    image.save()
}

/// What the last stage of a Dockerfile says of its image.
#[derive(Debug, PartialEq)]
struct Stage {
    config: Value,
    program: PathBuf,
}

impl Stage {
    /// An instruction that is not known is an error, so that the two ways to the image stay alike.
    fn read(dockerfile: &str) -> Result<Self> {
        let text = dockerfile.replace("\\\n", " ");
        let (_, last) = text.rsplit_once("\nFROM ").context("no stage")?;
        let mut lines = last.lines();
        ensure!(
            lines.next() == Some("scratch"),
            "the last stage is FROM scratch"
        );
        let (mut config, mut program) = (json!({}), None);
        for line in lines.map(str::trim) {
            let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
            let list = || serde_json::from_str::<Vec<String>>(rest).context(line.to_owned());
            match instruction {
                "USER" => config["User"] = json!(rest),
                "ENTRYPOINT" => config["Entrypoint"] = json!(list()?),
                "CMD" => config["Cmd"] = json!(list()?),
                "COPY" if program.is_none() => program = rest.rsplit(' ').next(),
                // For readers, not for the runtime.
                "LABEL" | "EXPOSE" | "#" | "" => {}
                _ => bail!("the Dockerfile says {line}, which is not known here"),
            }
        }
        Ok(Self {
            config,
            program: program.context("no COPY")?.into(),
        })
    }
}

/// The shared libraries of a program, the loader among them, by the paths at which it looks for them.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    // A static program has none, which ldd calls a failure.
    let text = String::from_utf8(output.stdout)?;
    let paths = text.lines().filter_map(|line| {
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        path.trim()
            .split(' ')
            .next()
            .filter(|path| path.starts_with('/'))
    });
    Ok(paths.map(PathBuf::from).collect())
}

/// As images name it.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("{other} is not known"),
    }
}

fn tar(archive: &Path, folder: &Path, what: &str) -> Result<()> {
    run(Command::new("tar")
        .args([
            "--create",
            "--numeric-owner",
            "--owner=0",
            "--group=0",
            "--file",
        ])
        .arg(archive)
        .arg("--directory")
        .args([folder.as_os_str(), what.as_ref()]))
    .map(drop)
}

fn sha256(file: &Path) -> Result<String> {
    let said = run(Command::new("sha256sum").arg(file))?;
    let (digest, _) = said.split_once(' ').context("no digest")?;
    Ok(digest.to_owned())
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
