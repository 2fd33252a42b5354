"""The OCI runtime is the host's: what holds on crun, which the other tests run on, holds on runc."""
import shutil
import unittest

import hello_test
import lifecycle_test
import secrets_test

RUNC = ("--runtime", shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/bin"))


class HelloOnRunc(hello_test.HelloTest):
    arguments = RUNC


class RestartOnRunc(lifecycle_test.RestartTest):
    arguments = RUNC


class DaemonEndOnRunc(lifecycle_test.DaemonEndTest):
    arguments = RUNC


class SecretsOnRunc(secrets_test.SecretsTest):
    arguments = RUNC


def load_tests(loader, _standard, _pattern):
    """Only ours: unittest would run the classes of the imported modules' names too."""
    return unittest.TestSuite(loader.loadTestsFromTestCase(each) for each in (HelloOnRunc, RestartOnRunc, DaemonEndOnRunc, SecretsOnRunc))


if __name__ == "__main__":
    unittest.main()
