"""The OCI runtime is the host's: what holds on crun, which the other tests run on, holds on runc."""
import shutil
import unittest

import hello_test
import lifecycle_test
import limits_test
import secrets_test
import userns_test

RUNC = ("--runtime", shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/bin"))


class HelloOnRunc(hello_test.HelloTest):
    arguments = RUNC


class RestartOnRunc(lifecycle_test.RestartTest):
    arguments = RUNC


class DaemonEndOnRunc(lifecycle_test.DaemonEndTest):
    arguments = RUNC


class SecretsOnRunc(secrets_test.SecretsTest):
    arguments = RUNC


class LimitsOnRunc(limits_test.LimitsTest):
    arguments = RUNC


class UsernsOnRunc(userns_test.UsernsTest):
    arguments = (*userns_test.UsernsTest.arguments, *RUNC)
    domainname = "(none)"  # runc 1.1 sets none, and root of a user namespace may not write the sysctl
    other_device = "/dev/fuse"  # runc 1.1 binds the node of the host that has the name inside


def load_tests(loader, _standard, _pattern):
    """Only ours: unittest would run the classes of the imported modules' names too."""
    ours = HelloOnRunc, RestartOnRunc, DaemonEndOnRunc, SecretsOnRunc, LimitsOnRunc, UsernsOnRunc
    return unittest.TestSuite(loader.loadTestsFromTestCase(each) for each in ours)


if __name__ == "__main__":
    unittest.main()
