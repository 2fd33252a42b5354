#pragma once

#include "compose/model/project.hpp"

// The members of the model by their names in the wire form, once for both directions: `archive(name,
// member)`.
namespace compose {

template <typename Archive>
void describe(Archive& archive, port& value) {
    archive("host_ip", value.host_ip);
    archive("published", value.published);
    archive("target", value.target);
    archive("protocol", value.protocol);
    archive("mode", value.mode);
    archive("name", value.name);
    archive("app_protocol", value.app_protocol);
}

template <typename Archive>
void describe(Archive& archive, mount& value) {
    archive("type", value.type);
    archive("source", value.source);
    archive("target", value.target);
    archive("read_only", value.read_only);
    archive("consistency", value.consistency);
    archive("create_host_path", value.create_host_path);
    archive("propagation", value.propagation);
    archive("recursive", value.recursive);
    archive("selinux", value.selinux);
    archive("nocopy", value.nocopy);
    archive("subpath", value.subpath);
    archive("tmpfs_size", value.tmpfs_size);
    archive("tmpfs_mode", value.tmpfs_mode);
    archive("labels", value.labels);
}

template <typename Archive>
void describe(Archive& archive, content_source& value) {
    archive("name", value.name);
    archive("external", value.external);
    archive("file", value.file);
    archive("environment", value.environment);
    archive("labels", value.labels);
    archive("driver", value.driver);
    archive("template_driver", value.template_driver);
    archive("content", value.content);
}

template <typename Archive>
void describe(Archive& archive, content_reference& value) {
    archive("source", value.source);
    archive("target", value.target);
    archive("uid", value.uid);
    archive("gid", value.gid);
    archive("mode", value.mode);
    archive("digest", value.digest);
}

template <typename Archive>
void describe(Archive& archive, service_network& value) {
    archive("aliases", value.aliases);
    archive("ipv4_address", value.ipv4_address);
    archive("ipv6_address", value.ipv6_address);
    archive("link_local_ips", value.link_local_ips);
    archive("mac_address", value.mac_address);
    archive("interface_name", value.interface_name);
    archive("driver_opts", value.driver_opts);
    archive("priority", value.priority);
    archive("gw_priority", value.gw_priority);
}

template <typename Archive>
void describe(Archive& archive, dependency& value) {
    archive("condition", value.condition);
    archive("restart", value.restart);
    archive("required", value.required);
}

template <typename Archive>
void describe(Archive& archive, restart_policy& value) {
    archive("mode", value.mode);
    archive("max_attempts", value.max_attempts);
    archive("delay", value.delay);
    archive("window", value.window);
}

template <typename Archive>
void describe(Archive& archive, update_policy& value) {
    archive("parallelism", value.parallelism);
    archive("delay", value.delay);
    archive("failure_action", value.failure_action);
    archive("monitor", value.monitor);
    archive("max_failure_ratio", value.max_failure_ratio);
    archive("start_first", value.start_first);
}

template <typename Archive>
void describe(Archive& archive, healthcheck& value) {
    archive("test", value.test);
    archive("interval", value.interval);
    archive("timeout", value.timeout);
    archive("start_period", value.start_period);
    archive("start_interval", value.start_interval);
    archive("retries", value.retries);
    archive("disable", value.disable);
}

template <typename Archive>
void describe(Archive& archive, hook& value) {
    archive("command", value.command);
    archive("user", value.user);
    archive("privileged", value.privileged);
    archive("working_dir", value.working_dir);
    archive("environment", value.environment);
}

template <typename Archive>
void describe(Archive& archive, preparation& value) {
    archive("command", value.work.command);
    archive("user", value.work.user);
    archive("privileged", value.work.privileged);
    archive("working_dir", value.work.working_dir);
    archive("environment", value.work.environment);
    archive("image", value.image);
    archive("per_replica", value.per_replica);
}

template <typename Archive>
void describe(Archive& archive, schedule& value) {
    archive("when", value.when);
    archive("missed", value.missed);
    archive("overlap", value.overlap);
}

template <typename Archive>
void describe(Archive& archive, logging& value) {
    archive("driver", value.driver);
    archive("options", value.options);
}

template <typename Archive>
void describe(Archive& archive, limits& value) {
    archive("mem_limit", value.memory);
    archive("memswap_limit", value.memory_swap);
    archive("mem_reservation", value.memory_soft);
    archive("mem_swappiness", value.memory_swappiness);
    archive("cpus", value.nano_cpus);
    archive("cpu_shares", value.cpu_shares);
    archive("cpu_quota", value.cpu_quota);
    archive("cpu_period", value.cpu_period);
    archive("cpu_rt_runtime", value.cpu_rt_runtime);
    archive("cpu_rt_period", value.cpu_rt_period);
    archive("cpuset", value.cpuset);
    archive("pids_limit", value.pids);
}

template <typename Archive>
void describe(Archive& archive, ulimit& value) {
    archive("soft", value.soft);
    archive("hard", value.hard);
}

template <typename Archive>
void describe(Archive& archive, device& value) {
    archive("source", value.source);
    archive("target", value.target);
    archive("permissions", value.permissions);
}

template <typename Archive>
void describe(Archive& archive, device_request& value) {
    archive("capabilities", value.capabilities);
    archive("driver", value.driver);
    archive("count", value.count);
    archive("device_ids", value.device_ids);
    archive("options", value.options);
}

template <typename Archive>
void describe(Archive& archive, device_rate& value) {
    archive("path", value.path);
    archive("rate", value.rate);
}

template <typename Archive>
void describe(Archive& archive, blkio& value) {
    archive("weight", value.weight);
    archive("weight_device", value.weight_device);
    archive("device_read_bps", value.device_read_bps);
    archive("device_read_iops", value.device_read_iops);
    archive("device_write_bps", value.device_write_bps);
    archive("device_write_iops", value.device_write_iops);
}

/// What a container is made from; the config hash is over these. Not `limit`, which changes while it runs.
template <typename Archive>
void describe_container(Archive& archive, service& value) {
    archive("name", value.name);
    archive("image", value.image);
    archive("command", value.command);
    archive("entrypoint", value.entrypoint);
    archive("environment", value.environment);
    archive("labels", value.labels);
    archive("annotations", value.annotations);
    archive("container_name", value.container_name);
    archive("hostname", value.hostname);
    archive("domainname", value.domainname);
    archive("user", value.user);
    archive("working_dir", value.working_dir);
    archive("stop_signal", value.stop_signal);
    archive("stop_grace_period", value.stop_grace_period);
    archive("platform", value.platform);
    archive("init", value.init);
    archive("tty", value.tty);
    archive("stdin_open", value.stdin_open);
    archive("read_only", value.read_only);
    archive("privileged", value.privileged);
    archive("ports", value.ports);
    archive("expose", value.expose);
    archive("mounts", value.mounts);
    archive("tmpfs", value.tmpfs);
    archive("volumes_from", value.volumes_from);
    archive("secrets", value.secrets);
    archive("configs", value.configs);
    archive("networks", value.networks);
    archive("network_mode", value.network_mode);
    archive("extra_hosts", value.extra_hosts);
    archive("dns", value.dns);
    archive("dns_search", value.dns_search);
    archive("dns_opt", value.dns_opt);
    archive("mac_address", value.mac_address);
    archive("links", value.links);
    archive("external_links", value.external_links);
    archive("restart", value.restart);
    archive("health", value.health);
    archive("pre_start", value.pre_start);
    archive("post_start", value.post_start);
    archive("pre_stop", value.pre_stop);
    archive("log", value.log);
    archive("cap_add", value.cap_add);
    archive("cap_drop", value.cap_drop);
    archive("security_opt", value.security_opt);
    archive("ulimits", value.ulimits);
    archive("shm_size", value.shm_size);
    archive("oom_score_adj", value.oom_score_adj);
    archive("oom_kill_disable", value.oom_kill_disable);
    archive("blkio_config", value.block_io);
    archive("devices", value.devices);
    archive("device_requests", value.device_requests);
    archive("device_cgroup_rules", value.device_cgroup_rules);
    archive("storage_opt", value.storage_opt);
    archive("sysctls", value.sysctls);
    archive("group_add", value.group_add);
    archive("ipc", value.ipc);
    archive("pid", value.pid);
    archive("uts", value.uts);
    archive("cgroup", value.cgroup);
    archive("cgroup_parent", value.cgroup_parent);
    archive("userns_mode", value.userns_mode);
    archive("runtime", value.runtime);
    archive("isolation", value.isolation);
    archive("credential_spec", value.credential_spec);
    archive("use_api_socket", value.use_api_socket);
}

template <typename Archive>
void describe(Archive& archive, service& value) {
    describe_container(archive, value);
    archive("pull_policy", value.pull_policy);
    archive("depends_on", value.depends_on);
    archive("profiles", value.profiles);
    archive("scale", value.scale);
    archive("limits", value.limit);
    archive("attach", value.attach);
    archive("update", value.update);
    archive("rollback", value.rollback);
    archive("schedule", value.scheduled);
    archive("extra", value.extra);
}

template <typename Archive>
void describe(Archive& archive, ipam_pool& value) {
    archive("subnet", value.subnet);
    archive("ip_range", value.ip_range);
    archive("gateway", value.gateway);
    archive("aux_addresses", value.aux_addresses);
}

template <typename Archive>
void describe(Archive& archive, network& value) {
    archive("name", value.name);
    archive("external", value.external);
    archive("driver", value.driver);
    archive("driver_opts", value.driver_opts);
    archive("internal", value.internal);
    archive("attachable", value.attachable);
    archive("enable_ipv4", value.enable_ipv4);
    archive("enable_ipv6", value.enable_ipv6);
    archive("ipam_driver", value.ipam_driver);
    archive("pools", value.pools);
    archive("labels", value.labels);
}

template <typename Archive>
void describe(Archive& archive, volume& value) {
    archive("name", value.name);
    archive("external", value.external);
    archive("driver", value.driver);
    archive("driver_opts", value.driver_opts);
    archive("labels", value.labels);
}

template <typename Archive>
void describe(Archive& archive, project& value) {
    archive("name", value.name);
    archive("working_dir", value.working_dir);
    archive("config_files", value.config_files);
    archive("services", value.services);
    archive("disabled_services", value.disabled_services);
    archive("networks", value.networks);
    archive("volumes", value.volumes);
    archive("secrets", value.secrets);
    archive("configs", value.configs);
    archive("extra", value.extra);
}

} // namespace compose
