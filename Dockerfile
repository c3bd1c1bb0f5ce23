# galmorph for the processor. Two stages: the first installs with what it takes to do so, the second has the result alone.
#   docker build -t galmorph .
#   docker run --rm -v "$PWD:/data" galmorph classify catalog.fits --image image.fits --survey candels --band H -o out.fits

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY galmorph galmorph
COPY catalogs catalogs
COPY pipelines pipelines
RUN python -m venv /opt/galmorph
RUN /opt/galmorph/bin/python -m pip install --no-cache-dir --disable-pip-version-check -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu .

FROM python:3.13-slim
COPY --from=build /opt/galmorph /opt/galmorph
# What measures is compiled at the first run and kept here, in the image's user's folder or in a volume of one's own.
ENV PATH=/opt/galmorph/bin:$PATH HOME=/home/galmorph NUMBA_CACHE_DIR=/home/galmorph/compiled
RUN useradd --create-home --uid 1000 galmorph && mkdir -p /home/galmorph/compiled /data && chown -R galmorph /home/galmorph /data
USER galmorph
WORKDIR /data
ENTRYPOINT ["galmorph"]
CMD ["--help"]
