//! Bits that flip and blocks that vanish, in files at rest.

use faults::{Damage, Spot};
use histories::Value;
use nix::errno::Errno;

use super::files::Files;
use super::journal::Ino;
use super::pattern::matches;

/// How many bytes of a file become zeros at most.
const ZEROS_MAX: u64 = 1 << 20;

/// Damages the files that match, and returns what was done and to which.
pub(super) fn inflict(
    files: &Files,
    pattern: &str,
    spots: &[Spot],
) -> Result<(Value, Vec<Ino>), Errno> {
    let mut candidates = Vec::new();
    for (path, ino) in files.tree.files() {
        let path = path.to_string_lossy().into_owned();
        let size = files.size(ino)?;
        if size > 0 && matches(pattern, &path) {
            candidates.push((path, ino, size));
        }
    }
    let (mut done, mut touched) = (Vec::new(), Vec::new());
    for spot in spots {
        let which = share(candidates.len() as u64, spot.file_ppm);
        let Some((path, ino, size)) = candidates.get(which as usize) else {
            break;
        };
        let length = match spot.last_bytes {
            0 => *size,
            last_bytes => last_bytes.min(*size),
        };
        let offset = size - length + share(length, spot.offset_ppm);
        let (kind, amount) = match spot.damage {
            Damage::Bit(bit) => {
                let byte = files.read(*ino, offset, 1)?;
                let flipped: Vec<u8> = byte.iter().map(|byte| byte ^ (1 << (bit % 8))).collect();
                files.overwrite(*ino, offset, &flipped)?;
                ("bit", u64::from(bit % 8))
            }
            Damage::Zeros(count) => {
                let count = count.min(size - offset).min(ZEROS_MAX);
                files.overwrite(*ino, offset, &vec![0; count as usize])?;
                ("zeros", count)
            }
        };
        done.push(Value::Map(vec![
            ("path".into(), Value::from(&**path)),
            ("offset".into(), Value::Int(offset.cast_signed())),
            (kind.into(), Value::Int(amount.cast_signed())),
        ]));
        touched.push(*ino);
    }
    Ok((Value::List(done), touched))
}

/// So many millionths of a number, and less than it.
fn share(of: u64, ppm: u64) -> u64 {
    let part = u128::from(of) * u128::from(ppm) / 1_000_000;
    u64::try_from(part)
        .unwrap_or(u64::MAX)
        .min(of.saturating_sub(1))
}
