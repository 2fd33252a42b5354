#pragma once

#include "api/http/router.hpp"
#include "engine/project/container_manager.hpp"
#include "engine/project/project_manager.hpp"
#include "engine/project/stats_collector.hpp"
#include "engine/stacks/stack_folder.hpp"

#include <string>

namespace api {

/// What the handlers of /api/v1 work on; outlives the routes.
struct daemon_parts {
    engine::engine_parts engine;
    engine::container_manager& containers;
    engine::stats_collector& stats;
    engine::project_manager& projects;
    engine::stack_folder& stacks;
    std::string version;
};

/// Adds /api/v1. openapi.yaml beside this folder describes it.
void add_v1_routes(router& to, daemon_parts parts);

// One a file; add_v1_routes calls them all.
void add_project_routes(router& to, const daemon_parts& parts);
void add_revision_routes(router& to, const daemon_parts& parts);
void add_container_routes(router& to, const daemon_parts& parts);
void add_attach_routes(router& to, const daemon_parts& parts); // and what acts on one container
void add_run_routes(router& to, const daemon_parts& parts);
void add_stats_routes(router& to, const daemon_parts& parts); // and processes
void add_archive_routes(router& to, const daemon_parts& parts);
void add_exec_routes(router& to, const daemon_parts& parts);
void add_log_routes(router& to, const daemon_parts& parts);
void add_event_routes(router& to, const daemon_parts& parts);
void add_image_routes(router& to, const daemon_parts& parts);
void add_volume_routes(router& to, const daemon_parts& parts);
void add_secret_routes(router& to, const daemon_parts& parts);

} // namespace api
