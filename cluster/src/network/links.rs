//! Interfaces, addresses and neighbours, by netlink.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, State};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, new_connection};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::error::{ClusterError, For, SystemCall};
use crate::network::{Entrance, Host};

/// What a host calls its one interface.
const HOST_INTERFACE: &str = "eth0";

/// What the kernel's bridge is called.
const BRIDGE_INTERFACE: &str = "bridge";

/// The index of `lo`: the first interface of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

const PREFIX_BITS: u8 = 24;

/// How long a cable may take to be in service.
const RUNNING_LIMIT: Duration = Duration::from_secs(10);

/// Between two looks at a cable that is not in service yet.
const RUNNING_POLL: Duration = Duration::from_micros(500);

/// Switches on the loopback interface of the calling thread's network namespace.
pub(crate) fn bring_loopback_up() -> Result<(), ClusterError> {
    runtime()?.block_on(async {
        let netlink = Netlink::open()?;
        netlink.up(LOOPBACK_INDEX).await
    })
}

/// Connects every host with the switch's namespace and gives it its addresses.
pub(crate) fn lay_cables(switch: &OwnedFd, hosts: &[Host]) -> Result<(), ClusterError> {
    let switch = Arc::new(switch.try_clone().call("keep the switch's namespace")?);
    // One thread visits all namespaces: a netlink socket keeps the one it was made in.
    Entrance::to(switch).run(|| {
        runtime()?.block_on(async {
            let netlink = Netlink::open()?;
            for host in hosts {
                netlink.lay_cable(host).await?;
            }
            let mut far_ends = Vec::new();
            for host in hosts {
                Entrance::to(Arc::clone(&host.namespace)).enter()?;
                let far_end = Netlink::open()?;
                far_end.furnish(host, hosts).await?;
                far_ends.push(far_end);
            }
            for (host, far_end) in hosts.iter().zip(far_ends) {
                far_end.await_running(HOST_INTERFACE).await?;
                netlink
                    .await_running(&switch_interface(host.number))
                    .await?;
            }
            Ok(())
        })
    })?
}

/// Joins the cables' ends in the switch's namespace by the kernel's own bridge.
pub(crate) fn bridge_cables(switch: &OwnedFd, hosts: &[Host]) -> Result<(), ClusterError> {
    let switch = Arc::new(switch.try_clone().call("keep the switch's namespace")?);
    Entrance::to(switch).run(|| {
        runtime()?.block_on(async {
            let netlink = Netlink::open()?;
            let bridge = LinkBridge::new(BRIDGE_INTERFACE).up().build();
            let made = netlink.handle.link().add(bridge).execute().await;
            made.map_err(|error| failed("make a bridge".into(), error))?;
            let bridge = if_nametoindex(BRIDGE_INTERFACE).call("find the bridge")?;
            for host in hosts {
                let interface = switch_interface(host.number);
                let index = if_nametoindex(interface.as_str()).call("find a cable's end")?;
                let join = LinkUnspec::new_with_index(index).controller(bridge).build();
                let joined = netlink.handle.link().set(join).execute().await;
                joined.map_err(|error| failed(format!("join {interface} to a bridge"), error))?;
            }
            Ok(())
        })
    })?
}

/// Makes every host cut up what it sends into packets that fit its cable, instead of leaving that
/// to a network card that is not there. Connections that exist are cut up too.
pub(crate) fn segment_on_hosts(hosts: &[Host]) -> Result<(), ClusterError> {
    for host in hosts {
        Entrance::to(Arc::clone(&host.namespace)).run(|| {
            runtime()?.block_on(async {
                let netlink = Netlink::open()?;
                let interface = if_nametoindex(HOST_INTERFACE).call("find a host's interface")?;
                // A frame of more than one segment is cut up in software before it is sent.
                let one = LinkUnspec::new_with_index(interface)
                    .append_extra_attribute(LinkAttribute::GsoMaxSegs(1))
                    .build();
                let set = netlink.handle.link().set(one).execute().await;
                set.map_err(|error| failed(format!("switch offloads off on {}", host.name), error))
            })
        })??;
    }
    Ok(())
}

/// What the switch calls its end of a host's cable.
pub(crate) fn switch_interface(number: u8) -> String {
    format!("port{number}")
}

/// A netlink socket of one network namespace.
struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

impl Netlink {
    fn open() -> Result<Self, ClusterError> {
        let (connection, handle, _) = new_connection().call("open a netlink socket")?;
        Ok(Self {
            handle,
            connection: tokio::spawn(connection),
        })
    }

    /// Makes the pair of interfaces that is a cable, with the far end in the host's namespace from
    /// the beginning: moving it there later would cost tens of milliseconds.
    async fn lay_cable(&self, host: &Host) -> Result<(), ClusterError> {
        let far_end = LinkMessageBuilder::<LinkUnspec>::new()
            .name(HOST_INTERFACE)
            .address(hardware_address(host.number).to_vec())
            .setns_by_fd(host.namespace.as_raw_fd())
            .build();
        let cable = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(switch_interface(host.number))
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
            .up()
            .build();
        let laid = self.handle.link().add(cable).execute().await;
        laid.map_err(|error| failed(format!("lay the cable of {}", host.name), error))
    }

    /// Gives a host its interfaces, its address and its neighbours.
    async fn furnish(&self, host: &Host, hosts: &[Host]) -> Result<(), ClusterError> {
        // Asked on a thread inside the host's namespace, so it is that host's interface.
        let interface = if_nametoindex(HOST_INTERFACE).call("find a host's interface")?;
        self.up(LOOPBACK_INDEX).await?;
        self.handle
            .address()
            .add(interface, host.address.into(), PREFIX_BITS)
            .execute()
            .await
            .map_err(|error| failed(format!("give {} its address", host.name), error))?;
        self.up(interface).await?;
        for other in hosts.iter().filter(|other| other.number != host.number) {
            self.handle
                .neighbours()
                .add(interface, IpAddr::V4(other.address))
                .link_layer_address(&hardware_address(other.number))
                .execute()
                .await
                .map_err(|error| failed(format!("tell {} of its neighbours", host.name), error))?;
        }
        Ok(())
    }

    /// Waits until an interface that was switched on is in service. Until the kernel has noticed,
    /// a little later, that both ends of the cable are on, it drops what is sent.
    ///
    /// The kernel changes state and sending under one lock (RTNL), and this question is answered
    /// under the same.
    async fn await_running(&self, interface: &str) -> Result<(), ClusterError> {
        let action = || format!("see {interface} in service");
        let deadline = Instant::now() + RUNNING_LIMIT;
        while Instant::now() < deadline {
            let request = self.handle.link().get().match_name(interface);
            let answer = pin!(request.execute()).try_next().await;
            let link = answer.map_err(|error| failed(action(), error))?;
            let is_up = |attribute| matches!(attribute, LinkAttribute::OperState(State::Up));
            if link.is_some_and(|link| link.attributes.into_iter().any(is_up)) {
                return Ok(());
            }
            sleep(RUNNING_POLL).await;
        }
        Err(SystemCall::new(action(), Errno::ETIMEDOUT).into())
    }

    async fn up(&self, index: u32) -> Result<(), ClusterError> {
        let up = LinkUnspec::new_with_index(index).up().build();
        let set = self.handle.link().set(up).execute().await;
        set.map_err(|error| failed("switch an interface on".into(), error))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The hardware address of a port: locally administered, with its number as the last byte.
fn hardware_address(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

fn runtime() -> Result<Runtime, ClusterError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(runtime.call("start a runtime for netlink")?)
}

fn failed(action: String, error: rtnetlink::Error) -> ClusterError {
    ClusterError::Netlink { action, error }
}
