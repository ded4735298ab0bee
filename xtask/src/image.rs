//! `cargo xtask image`: the container image, as an archive, without Docker.

mod archive;
mod crates;
mod debian;
mod docker;
mod layer;
mod libraries;
mod package;
mod programs;
pub(crate) mod properties;
mod revision;
mod sbom;
mod system;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;

use self::{
    archive::Image,
    layer::Layer,
    package::Package,
    programs::Profile,
    properties::{PAGE_LAYER, SYSTEM_LAYER},
    tree::Tree,
};
use crate::{
    page,
    setup::{self, Needs},
    terminal::print,
    workspace::Workspace,
};

/// The folder of the page in the image: what the gateway's `gateway.page` is set to.
const PAGE: &str = "usr/share/rowcast/page";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the image, without its tag
    #[arg(long, default_value = "localhost/rowcast")]
    name: String,
    /// Tag of the image
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// The archive, instead of .rowcast/image/rowcast-TAG.tar; the SBOM is written beside it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only write the image's files, a folder for each layer
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    tree: Option<PathBuf>,
    /// Build profile: `dev` builds in seconds, but runs several times slower
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Use the programs and the page of the last build
    #[arg(long)]
    no_build: bool,
    /// Build with services/Dockerfile, where this system's programs would not run in the image (macOS)
    #[arg(long, conflicts_with_all = ["tree", "profile", "no_build"])]
    docker: bool,
}

/// A layer's name and its files.
type Part = (&'static str, Tree);

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.docker {
        let output = options.output.clone().map_or_else(|| default_output(workspace, &options.tag), Ok)?;
        return docker::build(workspace, &options.name, &options.tag, &output);
    }
    if !options.no_build {
        build(workspace, options.profile)?;
    }
    let programs = programs::find(workspace, options.profile)?;
    let (parts, packages) = parts(workspace, &programs)?;
    match &options.tree {
        Some(folder) => write_folders(&parts, folder),
        None => {
            let output = match &options.output {
                Some(file) => file.clone(),
                None => default_output(workspace, &options.tag)?,
            };
            let named = Named { name: &options.name, tag: &options.tag, output: &output };
            pack(workspace, &named, parts, &packages)
        }
    }
}

/// Archives of a release build under each of these tags; returns their paths.
pub(crate) fn archives(
    workspace: &Workspace,
    name: &str,
    tags: &[&str],
    with_docker: bool,
) -> Result<Vec<PathBuf>> {
    if with_docker {
        let outputs = tags.iter().map(|tag| {
            let output = default_output(workspace, tag)?;
            docker::build(workspace, name, tag, &output).map(|()| output)
        });
        return outputs.collect();
    }
    build(workspace, Profile::Release)?;
    let programs = programs::find(workspace, Profile::Release)?;
    let mut archives = Vec::new();
    for tag in tags {
        let (parts, packages) = parts(workspace, &programs)?;
        let output = default_output(workspace, tag)?;
        pack(workspace, &Named { name, tag, output: &output }, parts, &packages)?;
        archives.push(output);
    }
    Ok(archives)
}

/// The default path of an archive.
fn default_output(workspace: &Workspace, tag: &str) -> Result<PathBuf> {
    Ok(workspace.cache()?.join(format!("image/rowcast-{tag}.tar")))
}

fn build(workspace: &Workspace, profile: Profile) -> Result<()> {
    let needs = Needs { page: true, ..Needs::NOTHING };
    let tools = setup::set_up(workspace, needs)?;
    let node = tools.node.context("no Node to build the page with")?;
    page::install(workspace, &node)?;
    page::build(workspace, &node)?;
    programs::build(workspace, profile)
}

/// Builds the programs of a release, and nothing else of the image.
pub(crate) fn build_programs(workspace: &Workspace) -> Result<()> {
    programs::build(workspace, Profile::Release)
}

fn parts(workspace: &Workspace, programs: &[(&'static str, PathBuf)]) -> Result<(Vec<Part>, Vec<Package>)> {
    let libraries = libraries::of(programs.iter().map(|(_, file)| file.as_path()))?;
    let packages =
        debian::owners(libraries.iter().map(PathBuf::as_path).chain([Path::new(system::CERTIFICATES)]))?;
    let mut parts = vec![(SYSTEM_LAYER, system::tree(&libraries, &packages)?)];
    let mut page = Tree::default();
    page.folder_of(PAGE, &workspace.page()).context("the built page")?;
    parts.push((PAGE_LAYER, page));
    for (name, file) in programs {
        let mut tree = Tree::default();
        tree.program(&format!("usr/local/bin/{name}"), file);
        parts.push((name, tree));
    }
    Ok((parts, packages))
}

fn write_folders(parts: &[Part], folder: &Path) -> Result<()> {
    for (name, tree) in parts {
        tree.write_to(&folder.join(name))?;
    }
    print(&format!("{}", folder.display()));
    Ok(())
}

/// The name of an image, and the path of its archive.
struct Named<'a> {
    name: &'a str,
    tag: &'a str,
    output: &'a Path,
}

fn pack(workspace: &Workspace, named: &Named<'_>, parts: Vec<Part>, packages: &[Package]) -> Result<()> {
    let Named { name, tag, output } = *named;
    let began = Instant::now();
    let made = made_at()?;
    let layers: Result<Vec<Layer>> =
        parts.into_iter().map(|(name, tree)| Layer::new(name, &tree, made)).collect();
    let image = Image {
        name: name.to_owned(),
        tag: tag.to_owned(),
        revision: revision::of(workspace.root()),
        made,
        layers: layers?,
    };
    let (archive, digest) = image.archive()?;
    write(output, &archive)?;
    let mut components = crates::shipped(workspace)?;
    components.extend(
        page::shipped(workspace)?
            .into_iter()
            .map(|(name, version, licence)| sbom::Component::npm(&name, &version, licence.as_deref())),
    );
    components.extend(packages.iter().map(sbom::Component::debian));
    let bill = sbom::bill(&image.name, &image.tag, &digest, components);
    write(&output.with_added_extension("cdx.json"), bill.as_bytes())?;
    print(&format!(
        "{}: {}:{}, {} MB, sha256:{digest}, packed in {:.1} s",
        output.display(),
        image.name,
        image.tag,
        archive.len().div_ceil(1_000_000),
        began.elapsed().as_secs_f64(),
    ));
    Ok(())
}

/// Writes a file atomically.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let part = file.with_added_extension("part");
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, file))
        .with_context(|| format!("writing {}", file.display()))
}

/// The time of all files in the image, in seconds since 1970: SOURCE_DATE_EPOCH, or 0.
fn made_at() -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.trim().parse().context("SOURCE_DATE_EPOCH is not a number of seconds"),
        Err(_) => Ok(0),
    }
}
