//! Programs on the machine that this runs on.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where PATH of an ordinary user often does not lead.
const ADMINISTRATORS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The program of a name, in PATH and the folders of administrators' programs; or at a path, in which
/// `*` stands for any name: of several the last in order.
pub fn find(candidate: &str) -> Option<PathBuf> {
    match candidate.contains('/') {
        true => expand(Path::new(candidate)),
        false => in_path(candidate),
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ADMINISTRATORS.map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn expand(path: &Path) -> Option<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        found = match part.as_os_str() == "*" {
            false => found.into_iter().map(|path| path.join(part)).collect(),
            true => {
                let entries = found.iter().flat_map(std::fs::read_dir).flatten();
                entries.flatten().map(|entry| entry.path()).collect()
            }
        };
    }
    found.retain(|path| is_program(path));
    found.into_iter().max()
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_name_and_the_last_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["14", "15"] {
            let bin = folder.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::copy("/bin/sh", bin.join("server")).unwrap();
        }
        let pattern = folder.path().join("*/bin/server");
        let expected = folder.path().join("15/bin/server");
        assert_eq!(expand(&pattern), Some(expected));
        assert_eq!(expand(&folder.path().join("*/no/server")), None);
    }
}
