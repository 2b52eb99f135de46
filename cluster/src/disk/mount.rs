//! Mounting: a file system is made in the controller and put into the mount namespace of a node.
//!
//! The mount belongs to that namespace alone. It ends with the node's last process, and a fresh one
//! is made for the node's next life: so nothing that the kernel remembers of the files outlives a
//! power failure.

use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};

use crate::error::{For, SystemCall};

/// The device through which the kernel asks us.
pub(crate) const DEVICE: &str = "/dev/fuse";

// From linux/mount.h; libc has the numbers of the calls but not these.
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const MOUNT_ATTR_NOSUID: libc::c_uint = 2;
const MOUNT_ATTR_NODEV: libc::c_uint = 4;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Opens the device: what is read from it are the requests of one file system.
pub(super) fn open_device() -> Result<OwnedFd, SystemCall> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    Ok(device.call(format_args!("open {DEVICE}"))?.into())
}

/// A file system that is mounted nowhere yet, whose requests come through this device.
///
/// Any user may use it; the kernel checks permissions as on any disk.
pub(super) fn make(device: &OwnedFd) -> Result<OwnedFd, SystemCall> {
    // SAFETY: the name is a text that ends in zero and lives through the call, which keeps nothing.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"fuse".as_ptr(), FSOPEN_CLOEXEC) };
    let context = owned(context).call("begin a FUSE file system")?;
    let numbers = [
        (c"source", "whitewater".to_owned()),
        (c"fd", device.as_raw_fd().to_string()),
        (c"rootmode", format!("{:o}", libc::S_IFDIR)),
        (c"user_id", geteuid().to_string()),
        (c"group_id", getegid().to_string()),
    ];
    for (key, value) in numbers {
        configure(&context, FSCONFIG_SET_STRING, Some(key), Some(&value))?;
    }
    for flag in [c"default_permissions", c"allow_other"] {
        configure(&context, FSCONFIG_SET_FLAG, Some(flag), None)?;
    }
    configure(&context, FSCONFIG_CMD_CREATE, None, None)?;
    let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    let fd = context.as_raw_fd();
    // SAFETY: three numbers; the call returns a new descriptor.
    let mount = unsafe { libc::syscall(libc::SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes) };
    owned(mount).call("mount a FUSE file system")
}

/// Puts a mount over a folder, in the mount namespace of this process.
pub(crate) fn attach(mount: OwnedFd, folder: &Path) -> Result<(), SystemCall> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(folder.as_os_str().as_bytes()).map_err(|_| {
        SystemCall::new(
            "mount the disk over a folder with a zero in its name",
            Errno::EINVAL,
        )
    })?;
    let (from, to) = (mount.as_raw_fd(), libc::AT_FDCWD);
    let flags = MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both paths are texts that end in zero and live through the call, which keeps nothing.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            to,
            path.as_ptr(),
            flags,
        )
    };
    Errno::result(moved)
        .map(drop)
        .call(format_args!("mount the disk over {}", folder.display()))
}

fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    key: Option<&CStr>,
    value: Option<&str>,
) -> Result<(), SystemCall> {
    // Of ours, none has a zero in it.
    let value = value.map(|value| CString::new(value).unwrap_or_default());
    let value = value.as_deref().map_or(std::ptr::null(), CStr::as_ptr);
    let name = key.map_or(std::ptr::null(), CStr::as_ptr);
    let fd = context.as_raw_fd();
    // SAFETY: key and value are null or texts that end in zero; they live through the call, which
    // keeps nothing.
    let done = unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, name, value, 0) };
    let what = key.map_or("create".into(), CStr::to_string_lossy);
    Errno::result(done)
        .map(drop)
        .call(format_args!("set up a FUSE file system ({what})"))
}

fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = Errno::result(result)?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
