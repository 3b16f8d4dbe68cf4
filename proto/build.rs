//! Compiles every .proto of this folder with protox: no protoc to install, nothing generated in git.

use std::path::{Path, PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    find(Path::new("civicmesh"), &mut files)?;
    find(Path::new("google"), &mut files)?;
    files.sort();
    println!("cargo:rerun-if-changed=civicmesh");
    println!("cargo:rerun-if-changed=google");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;

    // Only protox's own encoding keeps the custom options (http, access); prost would drop them.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(
        out.join("descriptor.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let set =
        prost_types::FileDescriptorSet::decode(compiler.encode_file_descriptor_set().as_slice())?;
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    // Encoding must not depend on the order of a hash: request keys compare encoded bodies.
    config.btree_map(["."]);
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds_with_config(set, config)?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}
