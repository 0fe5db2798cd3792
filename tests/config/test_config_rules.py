"""What must hold between the keys of a configuration."""

from __future__ import annotations

import pytest

from nni.config import memory_megabytes

REMOTE = "{platform: remote, machineList: [{host: a, user: b}]}"


def test_search_space_and_its_file_exclude_each_other(faults):
    assert faults("searchSpace: {}\nsearchSpaceFile: a.json") == [
        "searchSpaceFile: give either searchSpace or searchSpaceFile, not both"
    ]


@pytest.mark.parametrize("key", ["searchSpace: {}", "searchSpaceFile: a.json"])
def test_annotation_excludes_a_search_space(faults, key):
    name = key.partition(":")[0]
    text = f"useAnnotation: true\n{key}" + ("" if name == "searchSpace" else "\nsearchSpace: null")
    assert faults(text) == [
        f"{name}: must not be given with useAnnotation: the search space comes from the annotations"
    ]


def test_an_advisor_excludes_tuner_and_assessor(faults):
    found = faults("advisor: {name: BOHB}\nassessor: {name: Medianstop}")
    for name in ("tuner", "assessor"):
        assert f"{name}: must not be given with an advisor, which is tuner and assessor in one" in found


def test_an_advisor_alone_is_enough(loaded):
    assert loaded("advisor: {name: BOHB}\ntuner: null").advisor.name == "BOHB"


@pytest.mark.parametrize("kind", ["tuner", "assessor", "advisor"])
def test_the_best_trial_is_the_one_that_the_algorithms_look_for(faults, loaded, kind):
    lines = "".join(f"{other}: null\n" for other in ("tuner", "assessor") if kind == "advisor")
    text = f"optimizeMode: minimize\n{lines}{kind}: {{className: my.Class, classArgs: {{optimize_mode: %s}}}}"
    assert loaded(text % "minimize").optimize_mode == "minimize"
    assert f"optimizeMode: 'minimize' contradicts {kind}.classArgs.optimize_mode, which is 'maximize'" in faults(
        text % "maximize"
    )


def test_pbt_excludes_an_assessor(faults):
    found = faults("tuner: {name: PBTTuner}\nassessor: {name: Medianstop}")
    assert "assessor: must not be given with PBTTuner, which needs all of its trials to finish" in found


def test_an_algorithm_is_given_by_name_or_by_class(faults):
    assert faults("tuner: {name: TPE, className: a.B}") == [
        "tuner: give either name (built-in or registered) or className (a class of yours), not both"
    ]
    assert faults("tuner: {classArgs: {a: 1}}") == ["tuner: name or className is required"]
    assert faults("tuner: {name: TPE, codeDirectory: .}") == [
        "tuner.codeDirectory: goes with className; an algorithm given by name needs none"
    ]


@pytest.mark.parametrize("name", ["MyTuner", "my_tuner.", ".MyTuner", "my-tuner.MyTuner", "a..B", "1a.B"])
def test_a_class_is_given_with_its_module(faults, name):
    assert faults(f"tuner: {{className: '{name}'}}") == [
        f"tuner.className: expected module.Class, such as 'my_tuner.MyTuner', got '{name}'"
    ]


def test_gpus_need_the_decision_whether_to_use_active_ones(faults, loaded):
    (fault,) = faults("trialGpuNumber: 1")
    assert fault.startswith("trainingService.useActiveGpu: must be true or false when trialGpuNumber is greater than 0")
    assert loaded("trialGpuNumber: 0").trial_gpu_number == 0
    for choice in ("true", "false"):
        loaded(f"trialGpuNumber: 1\ntrainingService: {{platform: local, useActiveGpu: {choice}}}")


def test_machines_have_a_default_for_active_gpus(loaded):
    assert loaded(f"trialGpuNumber: 1\ntrainingService: {REMOTE}").trial_gpu_number == 1


def test_a_trial_cannot_have_more_gpus_than_it_may_use(faults):
    service = "{platform: local, useActiveGpu: true, gpuIndices: '1'}"
    (fault,) = faults(f"trialGpuNumber: 2\ntrainingService: {service}")
    assert fault.startswith("trainingService.gpuIndices: names 1 GPUs, fewer than the 2 of trialGpuNumber")


def test_a_list_of_services_is_hybrid(loaded):
    config = loaded(f"trainingService: [{REMOTE}, {{platform: local}}]")
    assert [service.platform for service in config.training_services] == ["remote", "local"]


def test_rules_of_a_service_hold_inside_of_a_list(faults):
    (fault,) = faults(f"trialGpuNumber: 1\ntrainingService: [{REMOTE}, {{platform: local}}]")
    assert fault.startswith("trainingService[1].useActiveGpu: must be true or false")


def test_only_some_services_can_be_in_a_list(faults):
    found = faults("trainingService: [{platform: local}, {platform: adl, dockerImage: x}]\nnniManagerIp: 192.0.2.1")
    assert found == [
        (
            "trainingService[1].platform: 'adl' cannot be one of several training services, "
            "only 'local', 'remote', 'openpai', 'aml', 'slurm', 'ray' can"
        )
    ]


def test_a_list_of_services_is_not_empty_and_has_this_machine_once(faults):
    assert faults("trainingService: []") == [
        "trainingService: expected at least one training service, got an empty list"
    ]
    assert faults("trainingService: [{platform: local}, {platform: local}]") == [
        "trainingService[1].platform: 'local' is in the list already; both would use the same machine"
    ]


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ("{}", "trainingService.platform: required, expected one of 'local', 'remote', "),
        ("{platform: 3}", "trainingService.platform: expected one of 'local', 'remote', "),
        ("{platform: Local}", "trainingService.platform: unknown platform 'Local', did you mean 'local'?"),
        ("{platform: nowhere}", "trainingService.platform: unknown platform 'nowhere', "),
        ("local", "trainingService: expected a mapping with a platform, such as 'platform: local', got 'local'"),
        ("[local]", "trainingService[0]: expected a mapping with a platform"),
        ("[{platform: local}, {platform: x}]", "trainingService[1].platform: unknown platform 'x', expected one of "),
    ],
)
def test_the_platform_decides_what_a_service_is(faults, service, fault):
    (found,) = faults(f"trainingService: {service}")
    assert found.startswith(fault)


NFS = "storageType: NFS, localMountPoint: /mnt/nni, remoteMountPoint: ./nni, localMounted: usermount"


def test_shared_storage_of_both_kinds(loaded, directory):
    storage = loaded(
        f"trainingService: {REMOTE}\nsharedStorage: {{{NFS}, nfsServer: 192.0.2.9, exportedDirectory: /x}}"
    ).shared_storage
    assert (storage.storage_type, storage.nfs_server, storage.remote_mount_point) == ("NFS", "192.0.2.9", "./nni")
    storage = loaded(
        f"""
        trainingService: {REMOTE}
        sharedStorage:
          storageType: AzureBlob
          localMountPoint: ../mount
          remoteMountPoint: ./nni
          localMounted: nomount
          storageAccountName: a
          storageAccountKey: b
          containerName: c
        """
    ).shared_storage
    assert storage.local_mount_point == directory.parent / "mount"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("{storageType: NFS}", "sharedStorage.localMountPoint: required, such as"),
        (f"{{{NFS}, exportedDirectory: /x}}", "sharedStorage.nfsServer: required, such as"),
        (f"{{{NFS}, nfsServer: a, exportedDirectory: /x, localMounted: auto}}", "expected one of 'usermount', "),
        ("{storageType: Nfs}", "sharedStorage.storageType: unknown storage type 'Nfs', did you mean 'NFS'?"),
        ("{}", "sharedStorage.storageType: required, expected one of 'NFS', 'AzureBlob'"),
        (
            (
                "{storageType: AzureBlob, localMountPoint: /m, remoteMountPoint: m, localMounted: usermount, "
                "storageAccountName: a, containerName: c}"
            ),
            "sharedStorage.storageAccountKey: required, unless resourceGroupName says where to look it up",
        ),
    ],
)
def test_shared_storage_must_be_complete(faults, storage, expected):
    assert any(expected in fault for fault in faults(f"trainingService: {REMOTE}\nsharedStorage: {storage}"))


def test_shared_storage_is_mounted_outside_of_the_code(faults):
    storage = f"{{{NFS}, nfsServer: a, exportedDirectory: /x}}".replace("/mnt/nni", "./mount")
    (fault,) = faults(f"trainingService: {REMOTE}\nsharedStorage: {storage}")
    assert fault.startswith("sharedStorage.localMountPoint: must lie outside of trialCodeDirectory")


def test_shared_storage_needs_a_service_in_reuse_mode(faults):
    storage = f"sharedStorage: {{{NFS}, nfsServer: a, exportedDirectory: /x}}"
    service = REMOTE.replace("remote,", "remote, reuseMode: false,")
    assert faults(f"trainingService: {service}\n{storage}") == [
        "trainingService.reuseMode: must be true with sharedStorage"
    ]
    (fault,) = faults(storage)
    assert fault == "sharedStorage: is for other machines; local trials share this one's disk already"


@pytest.mark.parametrize(
    ("size", "megabytes"), [("8GB", 8192), ("512mb", 512), ("0.5gb", 512), ("1tb", 2**20), ("2048kb", 2)]
)
def test_memory_sizes_have_a_unit_in_any_case(size, megabytes):
    assert memory_megabytes(size) == megabytes


@pytest.mark.parametrize("size", ["8", "8 gb", "gb", "-1gb", "8g", "0gb", 8, None, ""])
def test_other_memory_sizes_are_refused(size):
    with pytest.raises(ValueError, match="expected a number directly followed by tb, gb, mb or kb, such as '8gb'"):
        memory_megabytes(size)
