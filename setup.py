"The package, described by settings.ini: the one home of metadata and requirements."
import re
import runpy
import shutil
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup
from setuptools.command.build_py import build_py

root = Path(__file__).parent
parser = ConfigParser(delimiters=['='], interpolation=None)
parser.read(root/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
version = re.search(r"__version__ = ['\"](.+)['\"]", (root/'fer_teach/__init__.py').read_text(encoding='utf-8'))[1]
extras = {key.removesuffix('_requirements'): cfg[key].split() for key in cfg if key.endswith('_requirements')}
extras['dev'] = sorted({need for needs in extras.values() for need in needs})  # who develops needs all of them


class BuildWithCourse(build_py):
    "Ship the leaderboard and the packed chapters beside the modules"
    def run(self):
        super().run()
        if self.editable_mode: return  # a checkout reads nbs/
        package = Path(self.build_lib)/'fer_teach'
        shutil.copy(root/'nbs/leaderboard.csv', package)
        pack_course = runpy.run_path(str(root/'fer_teach/course.py'))['pack_course']
        (package/'course.pack').write_bytes(pack_course(root/'nbs'))


setup(
    name=cfg['lib_name'], version=version, description=cfg['description'], author=cfg['author'],
    license=cfg['license'], keywords=cfg['keywords'].split(), python_requires=f">={cfg['min_python']}",
    long_description=(root/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Education', 'Intended Audience :: Science/Research',
                 'Topic :: Scientific/Engineering :: Image Recognition', 'Programming Language :: Python :: 3 :: Only'],
    packages=['fer_teach'], cmdclass={'build_py': BuildWithCourse}, package_data={'fer_teach': ['*.csv', '*.pyi', '*.pack', 'mtcnn/*', 'shipped/*/*']},
    install_requires=cfg['requirements'].split(), extras_require=extras,
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': ['fer_teach=fer_teach._modidx:d']})
