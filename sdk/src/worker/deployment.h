// A worker's deployment as the server is told of it.
#pragma once

#include <perdure/worker.h>
#include <temporal/api/deployment/v1/message.pb.h>

namespace perdure::worker {

inline void to_wire(const Deployment& deployment,
                    temporal::api::deployment::v1::WorkerDeploymentOptions* out) {
  namespace enums = temporal::api::enums::v1;
  out->set_deployment_name(deployment.name);
  out->set_build_id(deployment.build_id);
  out->set_worker_versioning_mode(deployment.use_versioning ? enums::WORKER_VERSIONING_MODE_VERSIONED
                                                            : enums::WORKER_VERSIONING_MODE_UNVERSIONED);
}

}  // namespace perdure::worker
